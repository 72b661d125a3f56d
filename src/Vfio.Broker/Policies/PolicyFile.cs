using Microsoft.Win32.SafeHandles;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Broker.Policies;

/// <summary>The file of a policy.</summary>
internal static class PolicyFile
{
    private const int MaxBytes = 4 << 20, Attempts = 5;
    private const uint WritableByOthers = 0x12, Sticky = 0x200;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Reads a policy, whole or not at all.</summary>
    /// <param name="path">The file.</param>
    /// <param name="checkOwner">Whether a file that others than root and this user could have written is refused.</param>
    /// <exception cref="VfioException">It cannot be read, or others can write to it, or what is in it is no policy: EINVAL, with the place
    /// of the first fault.</exception>
    internal static BrokerPolicy Load(string path, bool checkOwner = true)
    {
        byte[] json = ReadBytes(path, checkOwner);
        if (PolicyReader.Read(json, out IReadOnlyList<PolicyFault> faults) is { } policy)
            return policy;
        PolicyFault first = faults[0];
        string more = faults.Count > 1 ? $", and {faults.Count - 1} more: see 'vfio policy check'" : "";
        throw new VfioException("reading the policy", $"{path}:{first.Line}:{first.Column}", Errno.InvalidArgument, $"{first.Reason}{more}");
    }

    /// <summary>Reads the bytes of a file that another process may replace or write to meanwhile.</summary>
    /// <exception cref="VfioException">It cannot be read, is no file, is too large, or others can write to it.</exception>
    internal static byte[] ReadBytes(string path, bool checkOwner)
    {
        for (int attempt = 1; ; attempt++)
        {
            // Opened anew each time: a file that was replaced by another of its name is whole.
            if (TryRead(path, checkOwner) is { } bytes)
                return bytes;
            if (attempt == Attempts)
                throw new VfioException("reading the policy", path, Errno.Busy, "it is being written to; write another file, and rename it");
            Thread.Sleep(Pause);
        }
    }

    private static byte[]? TryRead(string path, bool checkOwner)
    {
        try
        {
            using FileDescriptor opened = Open(path, out FileStatus folder);
            using SafeFileHandle file = new(opened.Number, ownsHandle: false);
            FileStatus status = FileStatus.Of(opened.Number);
            if (status.Kind != FileKind.Regular)
                throw new VfioException("reading the policy", path, Errno.InvalidArgument, "it is no file");
            if (status.Length > MaxBytes)
                throw new VfioException("reading the policy", path, Errno.MessageTooLong, $"it has {status.Length} bytes: at most {MaxBytes}");
            if (checkOwner && !IsTrusted(folder) && !(IsOwnerTrusted(folder) && (folder.Mode & Sticky) != 0))
            {
                throw new VfioException(
                    "reading the policy", path, Errno.AccessDenied,
                    $"others can put another file in its place: its folder has to belong to root or to the broker's user, and have mode 0755 (owner {UserAccount.NameOf(folder.UserId)}, mode 0{Convert.ToString(folder.Mode, 8)})");
            }

            bool isTrusted = IsTrusted(status);
            if (checkOwner && !isTrusted)
            {
                throw new VfioException(
                    "reading the policy", path, Errno.AccessDenied,
                    $"others can write to it: it has to belong to root or to the broker's user, and have mode 0644 (owner {UserAccount.NameOf(status.UserId)}, mode 0{Convert.ToString(status.Mode, 8)})");
            }

            DateTime written = File.GetLastWriteTimeUtc(file);
            byte[] bytes = new byte[status.Length];
            int count = 0;
            while (count < bytes.Length && RandomAccess.Read(file, bytes.AsSpan(count), count) is > 0 and int some)
                count += some;
            FileStatus after = FileStatus.Of(opened.Number);
            return count == bytes.Length && after.Length == status.Length && File.GetLastWriteTimeUtc(file) == written ? bytes : null;
        }
        catch (Exception refusal) when (refusal is (IOException or UnauthorizedAccessException or ArgumentException) and not VfioException)
        {
            throw new VfioException("reading the policy", path, FileErrors.ErrnoOf(refusal), "check the path, and who may read it");
        }
    }

    private static FileDescriptor Open(string path, out FileStatus folder)
    {
        try
        {
            return SafePath.OpenFile(path, out folder);
        }
        catch (VfioException refusal)
        {
            string hint = refusal.Errno == Errno.NoEntry ? "check the path" : "check the path, and who may read it; no part of it may be a link of a user's";
            throw new VfioException("reading the policy", path, refusal.Errno, hint);
        }
    }

    private static bool IsTrusted(FileStatus status) => IsOwnerTrusted(status) && (status.Mode & WritableByOthers) == 0;

    private static bool IsOwnerTrusted(FileStatus status) => status.UserId == 0 || status.UserId == UserAccount.CurrentId;
}
