using System.Text.Json;
using System.Text.Json.Serialization;
using Vfio.Kernel.Topology;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Kernel.Binding;

/// <summary>The dwords of config space that root permits to the users of functions, beside what the tables allow.</summary>
/// <remarks>
/// <para>A permit lasts until its function is released, or, when it is saved, for every later user. The files belong to root, and everybody
/// may read them: a file of another owner, or of another device at the same address, is ignored.</para>
/// <para>Who opens the function through the guard has what is permitted then.</para>
/// </remarks>
internal sealed class PermitStore(KernelPaths paths, IBindingSystem system)
{
    private const int MostPermits = 64;

    /// <summary>Makes one for this machine.</summary>
    internal PermitStore()
        : this(new KernelPaths(), new LinuxBindingSystem())
    {
    }

    /// <summary>The file's name, in both folders.</summary>
    internal static string NameOf(PciAddress address) => $"{address}.permits.json";

    /// <summary>What is permitted on a function; of two permits of one dword, that of the present assignment.</summary>
    internal IReadOnlyList<StoredPermit> Of(KernelFunction function)
    {
        List<StoredPermit> permits = Load(paths.Records, function, isSaved: false);
        permits.AddRange(Load(paths.SavedPermits, function, isSaved: true).Where(saved => !permits.Exists(permit => permit.Offset == saved.Offset)));
        return [.. permits.OrderBy(permit => permit.Offset)];
    }

    /// <summary>Permits a dword. The rules are checked against the function first.</summary>
    /// <exception cref="VfioException">EINVAL: no such dword, or it has bits that the guard or the owner keeps; EPERM: it gives access to all of the device,
    /// or this is not root; ENODEV: not saved, and the function is not assigned; ENOSPC: too many.</exception>
    internal void Add(KernelFunction function, StoredPermit permit)
    {
        // Under the lock: what is checked is what is stored.
        using IDisposable only = Lock(function);
        Check(function, permit);
        if (!permit.IsSaved && function.VfioDriver is null)
        {
            throw Refusal(function, Errno.NoDevice,
                "it is not assigned, and a permit ends with the assignment; bind it first, or keep the permit with --save");
        }

        string folder = FolderOf(permit.IsSaved);
        List<StoredPermit> permits = Load(folder, function, permit.IsSaved);
        permits.RemoveAll(other => other.Offset == permit.Offset);
        permits.Add(permit);
        if (permits.Count > MostPermits)
            throw Refusal(function, Errno.NoSpace, $"{MostPermits} dwords are the most; remove one with --remove");
        Store(folder, function, permits);
    }

    /// <summary>Takes the permits of a dword back, saved ones too. A user who has the function open keeps them until it is closed.</summary>
    /// <returns>Whether there were any.</returns>
    /// <exception cref="VfioException">EPERM: this is not root.</exception>
    internal bool Remove(KernelFunction function, int offset)
    {
        using IDisposable only = Lock(function);
        bool isFound = false;
        foreach (bool isSaved in new[] { false, true })
        {
            List<StoredPermit> permits = Load(FolderOf(isSaved), function, isSaved);
            if (permits.RemoveAll(permit => permit.Offset == offset) == 0)
                continue;
            isFound = true;
            Store(FolderOf(isSaved), function, permits);
        }

        return isFound;
    }

    private static void Check(KernelFunction function, StoredPermit permit)
    {
        if (KnownWindow.Find(function.VendorId, function.DeviceId) is { } window && window.Contains(permit.Offset))
            throw Refusal(function, Errno.OperationNotPermitted, window.Problem);
        ConfigSpace space = function.LookAtConfig();
        if (space.HeaderType != 0)
            throw Refusal(function, Errno.InvalidArgument, "it is a bridge, which is not assigned");
        ConfigRules rules = new(space);
        try
        {
            // The bits of the tables are looked at before the permit changes their rules.
            RuledBit[] bits = permit.Offset >= 0 && permit.Offset + 4 <= rules.Length && permit.Offset % 4 == 0
                ? [.. Enumerable.Range(0, 32).Select(bit => rules.At(permit.Offset + (bit / 8), bit % 8))]
                : [];
            rules.Permit(permit.Offset, permit.ReadBits, permit.WriteBits);
            for (int bit = 0; bit < bits.Length; bit++)
            {
                if ((permit.WriteBits >> bit & 1) != 0 && IsOwners(bits[bit]))
                {
                    throw Refusal(function, Errno.InvalidArgument,
                        $"bit {bit} at 0x{permit.Offset:x} is its owner's ({bits[bit].Structure}); only registers that no table describes can be permitted");
                }
            }
        }
        catch (ArgumentException impossible)
        {
            throw VfioException.FromArgument("permit", function.ToString(), impossible);
        }
    }

    /// <summary>Whether the tables know a bit and keep it from the user: it reaches past the function. What VPD's bits write is on the board,
    /// which is root's to decide.</summary>
    private static bool IsOwners(RuledBit bit) =>
        bit.Rule == BitRule.Hidden
        || (bit.Field is not null && bit.Rule != BitRule.PassedThrough && bit.Structure?.EndsWith(VitalProductDataTable.Table.Name, StringComparison.Ordinal) != true);

    private IDisposable Lock(KernelFunction function) => system.IsPrivileged
        ? system.Lock(paths.Records)
        : throw Refusal(function, Errno.OperationNotPermitted, "only root may; run it with sudo");

    private string FolderOf(bool isSaved) => isSaved ? paths.SavedPermits : paths.Records;

    private List<StoredPermit> Load(string folder, KernelFunction function, bool isSaved)
    {
        try
        {
            return system.ReadRecord(folder, NameOf(function.Address)) is { } bytes
                && JsonSerializer.Deserialize(bytes, PermitRecordJson.Default.PermitRecord) is { Permits: { Count: <= MostPermits } permits } record
                && record.Device == BindRecord.IdsOf(function)
                    ? [.. permits.Select(permit => permit with { IsSaved = isSaved })]
                    : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private void Store(string folder, KernelFunction function, List<StoredPermit> permits) => system.WriteRecord(
        folder,
        NameOf(function.Address),
        permits.Count == 0
            ? null
            : JsonSerializer.SerializeToUtf8Bytes(new PermitRecord(BindRecord.IdsOf(function), permits), PermitRecordJson.Default.PermitRecord));

    private static VfioException Refusal(KernelFunction function, Errno errno, string why) => new("permit", function.ToString(), errno, why);
}

/// <summary>A permit of a dword of config space.</summary>
/// <param name="Offset">A multiple of 4.</param>
/// <param name="ReadBits">The bits that may be read.</param>
/// <param name="WriteBits">The bits that may be written; all of them may be read.</param>
internal sealed record StoredPermit(int Offset, uint ReadBits, uint WriteBits)
{
    /// <summary>Whether it is kept for later users, rather than until the function is released.</summary>
    [JsonIgnore]
    public bool IsSaved { get; init; }
}

/// <summary>A file of permits.</summary>
/// <param name="Device">Vendor and device ID.</param>
/// <param name="Permits">The permits.</param>
internal sealed record PermitRecord(string? Device, IReadOnlyList<StoredPermit> Permits);

/// <summary>Written without reflection, for programs that are compiled ahead of time.</summary>
[JsonSerializable(typeof(PermitRecord))]
internal sealed partial class PermitRecordJson : JsonSerializerContext;
