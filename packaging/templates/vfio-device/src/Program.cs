using System.Runtime.InteropServices;
using Device._1;
using Vfio;
using Vfio.Guard;
using Vfio.User;

if (args is not [string path])
{
    Console.Error.WriteLine("usage: Device.1 SOCKET");
    return 2;
}

using CancellationTokenSource stop = new();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    using GuardedFunction function = new(new CounterDevice());
    using VfioUserServer server = new(function.Open, new VfioUserServerOptions { Path = path });
    Console.WriteLine($"serving {function.Name} at {path}; Ctrl+C ends it");
    server.Run(stop.Token);
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
