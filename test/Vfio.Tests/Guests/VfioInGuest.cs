using System.Runtime.InteropServices;
using Vfio.Kernel;
using Vfio.Tests.Guests.Inside;

namespace Vfio.Tests.Guests;

/// <summary>The vfio command in a guest: this machine's build, run on this machine's files, which the guest has at <c>/host</c>.</summary>
/// <remarks>
/// <para>Only <c>/host/run</c> is the guest's own, and writable: a checkout may be anywhere else.</para>
/// <para>The command is the native file where <c>./publish</c> made one after the last build: an emulated processor takes
/// seconds to compile what it runs once.</para>
/// </remarks>
internal static class VfioInGuest
{
    /// <summary>A program that runs one as a user without privileges.</summary>
    internal const string Nobody = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups";

    /// <summary>The name of the process that the command is, as <c>pidof</c> knows it.</summary>
    internal static string ProcessName => NativeFile.IsCurrent ? "vfio" : "dotnet";

    private const string Environment = "HOME=/run TMPDIR=/run DOTNET_EnableDiagnostics=0 DOTNET_TieredPGO=0";

    /// <summary>A command for the guest's shell; errors come with the output.</summary>
    /// <param name="words">The verb and its arguments.</param>
    /// <param name="user">A program that runs it as another user.</param>
    /// <param name="output">The file that gets both; empty for the agent's answer.</param>
    internal static string Command(string words, string user = "", string output = "") =>
        NativeFile.IsCurrent ? Run(NativeFile.Path, words, user, output) : Program(VfioCommand.Path, words, user, output);

    /// <summary>All tests of classes of this assembly, in one process.</summary>
    internal static string Tests(string user, params Type[] classes) =>
        Program(typeof(VfioInGuest).Assembly.Location, string.Join(' ', classes.Select(type => type.FullName).Prepend(InsideRunner.Word)), user, "");

    /// <summary>Decides by which interface users without privileges come to their devices.</summary>
    /// <remarks>A device's own file comes first, and is of use with <c>/dev/iommu</c> only, which belongs to root until a rule of udev says
    /// more.</remarks>
    internal static void Open(this GuestAgent agent, VfioInterface vfioInterface) =>
        agent.Do($"chmod {(vfioInterface == VfioInterface.Cdev ? 666 : 600)} /dev/iommu");

    private static string Program(string path, string words, string user, string output) => Run($"{Dotnet} {path}", words, user, output);

    private static string Run(string program, string words, string user, string output) =>
        $"{Environment} chroot /host {user} {program} {words} {(output.Length > 0 ? ">" + output : "")} 2>&1";

    private static string Dotnet => Path.GetFullPath("../../../dotnet", RuntimeEnvironment.GetRuntimeDirectory());
}
