// src/CrcServer.cs
using System.Runtime.InteropServices;
using Vfio;
using Vfio.Guard;
using Vfio.User;

namespace Crc;

/// <summary>The program: serves the device over vfio-user until it is told to stop.</summary>
public static class CrcServer
{
    /// <summary>Runs it.</summary>
    /// <param name="args">The socket's path, and <c>--replace</c> to take over from the server that serves there.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args)
    {
        if (args is not ([_] or [_, "--replace"]))
        {
            Console.Error.WriteLine("usage: Crc SOCKET [--replace]");
            return 2;
        }

        using CancellationTokenSource stop = new();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            Console.WriteLine($"serving crc at {args[0]}; Ctrl+C ends it");
            Serve(args[0], replaces: args.Length > 1, stop.Token);
            return 0;
        }
        catch (VfioException refused)
        {
            Console.Error.WriteLine(refused.Message);
            return 1;
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true; // the server ends, and then this program
            stop.Cancel();
        }
    }

    /// <summary>Serves the device.</summary>
    /// <param name="socket">The socket's file.</param>
    /// <param name="replaces">Take over the socket, the client and the device's state of the server that has them.</param>
    /// <param name="stop">Ends it.</param>
    public static void Serve(string socket, bool replaces, CancellationToken stop)
    {
        string next = socket + ".next"; // where a newer server may ask to take over
        VfioUserServerOptions options = new() { HandoverPath = next };
        options = replaces ? options with { TakeOverPath = next } : options with { Path = socket };
        using GuardedFunction function = new(new CrcDevice());
        using VfioUserServer server = new(function.Open, options);
        server.Run(stop);
    }
}
