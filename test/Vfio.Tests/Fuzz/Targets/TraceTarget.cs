using System.Text.Json;
using Vfio.Native.Errors;
using Vfio.Tracing;
using Vfio.Tracing.Export;
using Vfio.Tracing.Names;
using Vfio.Tracing.Replay;
using Vfio.Tracing.Text;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A trace file: read, named, printed, exported, and replayed to a driver that does what it has. What does not begin as one is a table of register names.</summary>
internal static class TraceTarget
{
    private const int MostSessions = 4, MostEvents = 100;

    public static void Run(byte[] bytes)
    {
        if (bytes is not [(byte)'V', ..])
        {
            try
            {
                RegisterTable.Parse(bytes);
            }
            catch (FormatException)
            {
                // It says what is wrong.
            }

            return;
        }

        try
        {
            using TraceReader reader = new(new MemoryStream(bytes), "fuzz");
            PerfettoWriter perfetto = new(Stream.Null);
            NamedEvents events = new(
                (one, names) =>
                {
                    Check(one, names);
                    perfetto.Write(one, names);
                },
                () => { }, default);
            foreach (TraceEvent one in reader.ReadAll())
                events.Write(one);
            perfetto.Finish();
            Replay(bytes);
        }
        catch (VfioException)
        {
            // It is no trace.
        }
    }

    private static void Replay(byte[] bytes)
    {
        using TraceReader reader = new(new MemoryStream(bytes), "fuzz");
        foreach (RecordedSession session in RecordedSession.ReadAll(reader, "fuzz").Take(MostSessions))
        {
            foreach (ReplayMode mode in Enum.GetValues<ReplayMode>())
            {
                using ReplayedDevice device = new(session, mode, "fuzz", RegisterNames.None, null);
                foreach (TraceEvent one in session.Events.Take(MostEvents))
                    Drive(device, one);
            }
        }
    }

    private static void Drive(ReplayedDevice device, TraceEvent one)
    {
        byte[] data = new byte[Math.Min(one.Length, 4096)];
        try
        {
            if (one.Kind == TraceEventKind.Read)
                device.ReadRegion(one.Region, one.Place, data);
            else if (one.Kind == TraceEventKind.Write)
                device.WriteRegion(one.Region, one.Place, data);
            else if (one.Kind == TraceEventKind.Unmap)
                device.UnmapDma(new Iova(one.Place), one.Value);
            else if (one.Kind == TraceEventKind.Reset)
                device.Reset();
        }
        catch (VfioException)
        {
            // It differs, or the recording does not keep what is needed.
        }
    }

    private static void Check(TraceEvent one, RegisterNames names)
    {
        string line = TraceText.Line(one, names);
        if (PrintableText.FindUnprintable(line, 0) >= 0)
            throw new InvalidOperationException($"the line of event {one.Index} would control a terminal");
        using Utf8JsonWriter writer = new(Stream.Null);
        TraceJson.Write(writer, one, names);
    }
}
