using Vfio.Kernel.Events;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>Requests the release of functions, and waits until no process has them open.</summary>
internal sealed class ReleaseWait(KernelPaths paths, IBindingSystem system)
{
    private const int LookAgainMilliseconds = 50;

    /// <summary>Sends the request, unless the time is null, and waits that long.</summary>
    /// <exception cref="VfioException">EBUSY: a program still has one open.</exception>
    internal void WaitUntilClosed(PciAddress address, KernelFunction[] functions, TimeSpan? grace)
    {
        NodeKey[] nodes = [.. functions.SelectMany(function => FunctionNodes.Of(paths, function)).Select(node => OpenFiles.KeyOf(system, node.Path)).Distinct()];
        OpenFileUser[] users = FindUsers(nodes);
        if (users.Length > 0 && grace is { } time)
        {
            Deadline end = new(time);
            string seconds = end.IsNever ? EventTranslator.NoLimit : $"{Math.Min(int.MaxValue, Math.Ceiling(time.TotalSeconds))}";
            foreach (KernelFunction function in functions)
                system.WriteAttribute(function, "uevent", $"change {Guid.NewGuid()} {EventTranslator.ReturnKey}={seconds}");
            while ((users = FindUsers(nodes)).Length > 0 && !end.HasPassed)
                Thread.Sleep(LookAgainMilliseconds);
        }

        if (users.Length > 0)
            throw new VfioException("unbind", address.ToString(), Errno.Busy, $"open in {string.Join<OpenFileUser>(", ", users)}; end it first");
    }

    private OpenFileUser[] FindUsers(NodeKey[] nodes) => [.. new OpenFiles(paths, system).Of(nodes).Select(open => open.User)];
}
