using System.Buffers.Binary;

namespace Vfio.Tests.Fuzz;

/// <summary>Makes a broken session out of well-formed ones: the order, the number, the fields, the sizes, the descriptors, the cuts.</summary>
internal static class SessionMutator
{
    private const int SizeOffset = 4, FlagsOffset = 8, HeaderBytes = 16;

    /// <summary>Makes one; the same for the same state of <paramref name="random"/>.</summary>
    internal static List<FuzzMessage> Make(Random random)
    {
        FuzzMessage[] seed = Pick(random);
        List<FuzzMessage> session = [.. seed];
        if (random.Next(3) == 0)
            session.AddRange(Pick(random).Skip(random.Next(4)));
        for (int i = random.Next(1, 8); i > 0 && session.Count > 0; i--)
        {
            if (random.Next(4) == 0)
                MutateOrder(session, random);
            else
                MutateOne(session, random);
        }

        return session;
    }

    private static FuzzMessage[] Pick(Random random) => SeedSessions.All[random.Next(SeedSessions.All.Count)];

    private static void MutateOrder(List<FuzzMessage> session, Random random)
    {
        int at = random.Next(session.Count);
        switch (random.Next(4))
        {
            case 0:
                session.RemoveAt(at);
                break;
            case 1:
                session.InsertRange(at, Enumerable.Repeat(session[at], random.Next(1, 5)));
                break;
            case 2:
                int other = random.Next(session.Count);
                (session[at], session[other]) = (session[other], session[at]);
                break;
            default:
                session.Insert(at, new FuzzMessage(RandomMessages.Make(random), random.Next(3)));
                break;
        }
    }

    private static void MutateOne(List<FuzzMessage> session, Random random)
    {
        int at = random.Next(session.Count);
        FuzzMessage message = session[at];
        byte[] bytes = [.. message.Bytes];
        switch (random.Next(9))
        {
            case 0:
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 1 or 2 when bytes.Length >= HeaderBytes + 4:
                // A field of the body, which are all at multiples of 4 or so.
                int field = HeaderBytes + (random.Next((bytes.Length - HeaderBytes) / 4) * 4);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(field), (uint)RandomMessages.Edge(random));
                break;
            case 3 when bytes.Length >= HeaderBytes + 8:
                int wide = HeaderBytes + (random.Next((bytes.Length - HeaderBytes) / 8) * 8);
                BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(wide), RandomMessages.Edge(random));
                break;
            case 4:
                // A body of another length, and a size that goes with it.
                bytes = Resize(bytes, random.Next(HeaderBytes, bytes.Length + 40));
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(SizeOffset), (uint)bytes.Length);
                break;
            case 5 when random.Next(3) == 0:
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(SizeOffset), (uint)RandomMessages.Edge(random));
                break;
            case 6:
                bytes[FlagsOffset] = (byte)random.Next(64);
                break;
            case 7:
                session[at] = message with { Descriptors = random.Next(10) == 0 ? 40 : random.Next(5) };
                return;
            default:
                session[at] = message with { Cut = random.Next(1, bytes.Length) };
                return;
        }

        session[at] = message with { Bytes = bytes, Cut = Math.Min(message.Cut, bytes.Length - 1) };
    }

    private static byte[] Resize(byte[] bytes, int length)
    {
        Array.Resize(ref bytes, length);
        return bytes;
    }
}
