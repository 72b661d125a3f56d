namespace Vfio.Tests.Guests;

/// <summary>Drives edu from inside the guest, by the numbers of QEMU's <c>docs/specs/edu.rst</c>.</summary>
internal static class EduInGuest
{
    public const ulong Identification = 0x010000ed;

    private const uint BufferAddress = 0x40000;

    /// <summary>Asks for a factorial, and waits for it.</summary>
    public static ulong Factorial(this FunctionInGuest edu, uint number)
    {
        edu.Write(0x08, number);
        edu.WaitWhile(0x20, 0x01);
        return edu.Read(0x08);
    }

    /// <summary>Sends bytes from guest memory through the device's buffer and back, and asserts that they arrive.</summary>
    public static void AssertMovesBytesBothWays(this FunctionInGuest edu)
    {
        ulong page = edu.MapPage();
        byte[] bytes = new byte[256];
        Random.Shared.NextBytes(bytes);
        edu.Put(0, bytes);
        edu.Move(page, BufferAddress, bytes.Length, toMemory: false);
        edu.Move(BufferAddress, page + 0x800, bytes.Length, toMemory: true);
        Assert.Equal([.. bytes, 0, 0], edu.Get(0x800, bytes.Length + 2));
    }

    /// <summary>Lets the device interrupt, waits for it in the guest, and acknowledges.</summary>
    public static void AssertInterrupts(this FunctionInGuest edu, int kind)
    {
        edu.Arm(kind, 1);
        for (uint cause = 1; cause <= 4; cause <<= 1)
        {
            edu.Write(0x60, cause);
            Assert.Equal(1ul, edu.Wait());
            Assert.Equal(cause, edu.Read(0x24));
            edu.Write(0x64, cause);
            Assert.Equal(0ul, edu.Read(0x24));
            if (kind == FunctionInGuest.Intx)
                edu.Unmask();
        }

        Assert.False(edu.HasCome(0));
        edu.Arm(kind, 0);
    }

    /// <summary>Asserts all that the device can do.</summary>
    public static void AssertWorks(this FunctionInGuest edu)
    {
        Assert.Equal(Identification, edu.Read(0x00));
        Assert.Equal(120ul, edu.Factorial(5));
        edu.AssertMovesBytesBothWays();
        edu.AssertInterrupts(FunctionInGuest.Msi);
    }

    private static void Move(this FunctionInGuest edu, ulong source, ulong destination, int count, bool toMemory)
    {
        edu.Write(0x80, source, 8);
        edu.Write(0x88, destination, 8);
        edu.Write(0x90, (ulong)count, 8);
        edu.Write(0x98, toMemory ? 0x3u : 0x1u, 8);
        edu.WaitWhile(0x98, 0x01);
    }
}
