using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vfio.Web.Devices;
using Vfio.Web.Events;

namespace Vfio.Web.Serving;

/// <summary>What changes while a page is open, as server-sent events.</summary>
/// <remarks>
/// <para>Nothing is queued for a browser. Each event says how things are by then, against what this browser was told last; the page asks
/// for the rest of what it shows. So a browser that sleeps costs what it was told last, and one that does not take an event in time is cut
/// off.</para>
/// <para>Devices are only looked at while a browser listens.</para>
/// </remarks>
/// <param name="state">What is shown.</param>
internal sealed class LiveFeed(WatchState state)
{
    /// <summary>How many browsers, or tabs, are told at a time.</summary>
    internal const int MostListeners = 16;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250), LookInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(10), Heartbeat = TimeSpan.FromSeconds(15);
    private int _listeners;

    /// <summary>Looks at the devices again and again while somebody listens.</summary>
    internal async Task LookAsync(CancellationToken stop)
    {
        using PeriodicTimer timer = new(LookInterval);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                if (Volatile.Read(ref _listeners) > 0)
                    state.Devices.ForEach(device => device.Look());
            }
        }
        catch (OperationCanceledException)
        {
            // The page ends.
        }
    }

    /// <summary>Tells one browser until it goes away.</summary>
    internal async Task RunAsync(HttpContext context, CancellationToken stop)
    {
        if (Interlocked.Increment(ref _listeners) > MostListeners)
        {
            Interlocked.Decrement(ref _listeners);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }

        try
        {
            using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(stop, context.RequestAborted);
            context.Response.ContentType = "text/event-stream";
            await TellAsync(context, end.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            // It went away, or it does not take what it asked for.
            context.Abort();
        }
        finally
        {
            Interlocked.Decrement(ref _listeners);
        }
    }

    private async Task TellAsync(HttpContext context, CancellationToken end)
    {
        byte[]?[] told = new byte[]?[state.Devices.Count];
        ArrayBufferWriter<byte> message = new();
        string last = "";
        long lastTime = 0;
        using PeriodicTimer timer = new(Interval);
        do
        {
            string key = KeyOf(told);
            long now = Environment.TickCount64;
            if (key == last && now - lastTime < Heartbeat.TotalMilliseconds)
                continue;
            (last, lastTime) = (key, now);
            message.Clear();
            message.Write("data: "u8);
            using (Utf8JsonWriter json = new(message))
                Write(json, told);
            message.Write("\n\n"u8);
            using CancellationTokenSource slow = CancellationTokenSource.CreateLinkedTokenSource(end);
            slow.CancelAfter(Slowest);
            await context.Response.Body.WriteAsync(message.WrittenMemory, slow.Token).ConfigureAwait(false);
            await context.Response.Body.FlushAsync(slow.Token).ConfigureAwait(false);
            last = KeyOf(told);
        }
        while (await timer.WaitForNextTickAsync(end).ConfigureAwait(false));
    }

    /// <summary>Differs when there is something to tell.</summary>
    private string KeyOf(byte[]?[] told) =>
        $"{state.Trace?.Store.Events.End} {string.Join(' ', state.Devices.Select((device, i) => $"{device.IsOpen} {IsTold(told[i], device.Config)}"))}";

    private static bool IsTold(byte[]? told, byte[] now) => ReferenceEquals(told, now) || told.AsSpan().SequenceEqual(now);

    private void Write(Utf8JsonWriter json, byte[]?[] told)
    {
        json.WriteStartObject();
        if (state.Trace is { } trace)
        {
            EventSpan events = trace.Store.Events;
            json.WriteNumber("first", events.First);
            json.WriteNumber("end", events.End);
            json.WriteNumber("lost", trace.Store.Lost);
            json.WriteBoolean("cut", trace.IsCut);
        }

        json.WriteBoolean("live", state.IsLive);
        json.WriteStartArray("devices");
        for (int i = 0; i < state.Devices.Count; i++)
        {
            WatchedDevice device = state.Devices[i];
            byte[] now = device.Config;
            json.WriteStartObject();
            json.WriteBoolean("open", device.IsOpen);
            if (told[i] is not { } before)
                json.WriteString("config", Convert.ToHexStringLower(now));
            else
                WriteChanges(json, before, now);
            json.WriteEndObject();
            told[i] = now;
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteChanges(Utf8JsonWriter json, byte[] before, byte[] now)
    {
        json.WriteStartArray("changes");
        for (int offset = 0; offset < now.Length; offset++)
        {
            if (offset < before.Length && before[offset] == now[offset])
                continue;
            json.WriteNumberValue(offset);
            json.WriteNumberValue(now[offset]);
        }

        json.WriteEndArray();
    }
}
