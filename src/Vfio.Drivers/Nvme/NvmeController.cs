namespace Vfio.Drivers.Nvme;

/// <summary>Driver of NVM Express controllers on PCI: any function with class code 01 08 02.</summary>
/// <remarks>Owns the device; starts the controller, and shuts it down when it is disposed. Any thread may use it; a queue pair is for
/// one thread at a time. NVM Express Base Specification 1.4, section 7.6.1.</remarks>
public sealed class NvmeController : IDisposable, IAsyncDisposable
{
    private const uint ClassCode = 0x010802;
    private const int LargestNamespaceList = 1024;
    private const int DoorbellBufferConfig = 0x100;
    private readonly Lock _lock = new();
    private readonly PciDevice _device;
    private readonly NvmeAdminQueue _admin;
    private readonly bool[] _takenQueues;
    private readonly Lazy<IReadOnlyList<NvmeNamespace>> _namespaces;
    private InterruptSet? _vectors;
    private bool _disposed;

    /// <summary>Takes a device over, resets and starts it, and asks what it is.</summary>
    /// <param name="device">The device; owned from now on, also when this throws.</param>
    /// <param name="options">How to drive it; null for the defaults.</param>
    /// <exception cref="VfioException">ENODEV: it is no NVMe controller, or is gone; ENOTSUP: it is one that this driver cannot use;
    /// ETIMEDOUT: it does not start; else what it refused.</exception>
    public NvmeController(IVfioDevice device, NvmeOptions? options = null)
    {
        Options = options ?? new NvmeOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(Options.QueuePairs, 1, nameof(options));
        _device = new PciDevice(device);
        try
        {
            uint classCode = _device.Config.Read32(0x08) >> 8;
            if (classCode != ClassCode)
            {
                throw new VfioException(
                    "use as an NVMe controller", Name, Errno.NoDevice, $"its class code is {classCode:x6}, not {ClassCode:x6}");
            }

            Control = new NvmeControl(_device, _device.OpenBar(0));
            Control.Disable();
            _admin = new NvmeAdminQueue(_device, Control);
            _device.EnableBusMaster();
            _admin.Start();
            NvmeIdentifyController identity = _admin.Identify<NvmeIdentifyController>(structure: 1, 0, "controller");
            Info = new NvmeControllerInfo(identity, Control.Version);
            MaxQueuePairs = _admin.RequestQueuePairs(Options.QueuePairs);
            if ((identity.OptionalAdminCommands & DoorbellBufferConfig) != 0)
                ConfigureShadow();
            _takenQueues = new bool[MaxQueuePairs + 1];
            _namespaces = new Lazy<IReadOnlyList<NvmeNamespace>>(ReadNamespaces);
            NvmeLog.Started(Options.Logger, Name, Info.ModelNumber, Info.FirmwareRevision, MaxQueuePairs);
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>The function, for buffers and for what this driver does not do; do not dispose it.</summary>
    public PciDevice Device => _device;

    /// <summary>The device's address, for messages.</summary>
    public string Name => _device.Name;

    /// <summary>What it can do.</summary>
    internal NvmeCapabilities Capabilities => Control.Capabilities;

    /// <summary>What it says of itself.</summary>
    public NvmeControllerInfo Info { get; }

    /// <summary>How many queue pairs there may be at a time.</summary>
    public int MaxQueuePairs { get; }

    /// <summary>How many commands a queue pair may have in flight at most.</summary>
    public int MaxDepth => Capabilities.MaxQueueEntries - 1;

    /// <summary>Whether completions can interrupt: whether the function has MSI-X.</summary>
    public bool HasInterrupts => _device.Interrupts.Count(InterruptIndex.Msix) > 0;

    /// <summary>Its active namespaces, by ascending number; asked for once. One that is not ready is among them, with its
    /// <see cref="NvmeNamespace.Status"/>.</summary>
    /// <exception cref="VfioException">The controller does not tell which there are, or is gone.</exception>
    public IReadOnlyList<NvmeNamespace> Namespaces => _namespaces.Value;

    internal NvmeOptions Options { get; }

    internal NvmeControl Control { get; }

    /// <summary>Finds a namespace by its number.</summary>
    /// <exception cref="VfioException">ENXIO: there is none of that number.</exception>
    public NvmeNamespace FindNamespace(uint id)
    {
        foreach (NvmeNamespace found in Namespaces)
        {
            if (found.Id == id)
                return found;
        }

        string there = Namespaces.Count == 0 ? "it has none" : $"it has {string.Join(", ", Namespaces.Select(one => one.Id))}";
        throw new VfioException($"opening of namespace {id}", Name, Errno.NoDeviceOrAddress, there);
    }

    /// <summary>Makes a queue pair.</summary>
    /// <param name="depth">How many commands may be in flight: 1 to <see cref="MaxDepth"/>.</param>
    /// <param name="interrupts">Whether completions raise an MSI-X vector of the pair's own; otherwise it is polled.</param>
    /// <exception cref="VfioException">ENOSPC: <see cref="MaxQueuePairs"/> are there, or no vector is left; ENOENT: the function has no
    /// MSI-X; else what the controller refused.</exception>
    public NvmeQueuePair CreateQueuePair(int depth = 32, bool interrupts = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(depth, MaxDepth);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            int id = Array.IndexOf(_takenQueues, false, 1);
            if (id < 0)
                throw new VfioException("creation of a queue pair", Name, Errno.NoSpace, $"all {MaxQueuePairs} are in use");
            Interrupt? vector = interrupts ? FindVector(id) : null;
            NvmeRing ring = new(_device, Control, id, depth + 1);
            NvmePrpLists? lists = null;
            try
            {
                lists = new NvmePrpLists(_device, depth, Info.MaxTransferBytes);
                _admin.Create(id, ring, vector?.Vector);
            }
            catch
            {
                lists?.Dispose();
                ring.Dispose();
                throw;
            }

            _takenQueues[id] = true;
            return new NvmeQueuePair(this, id, ring, lists, vector);
        }
    }

    /// <summary>Reads part of a log page, by as many commands as it takes.</summary>
    /// <param name="page">Log Page Identifier: 1 errors, 2 SMART and health, 3 firmware slots, and others.</param>
    /// <param name="destination">Where it goes: a multiple of 4 bytes. What is beyond the page's end is the controller's to choose.</param>
    /// <param name="offset">Where in the page it starts, in bytes: a multiple of 4.</param>
    /// <param name="namespaceId">Of which namespace; all ones for the whole controller.</param>
    /// <exception cref="ArgumentException">The offset or the length is no multiple of 4.</exception>
    /// <exception cref="VfioException">ENOTSUP: the controller has no offsets, see <see cref="NvmeControllerInfo.HasExtendedLogs"/>, and
    /// they are needed; else what it refused.</exception>
    /// <remarks>NVM Express Base Specification 1.4, section 5.14.</remarks>
    public void ReadLogPage(byte page, Span<byte> destination, ulong offset = 0, uint namespaceId = uint.MaxValue)
    {
        const int MostWithoutOffsets = 16 << 10;
        if (destination.Length % sizeof(uint) != 0 || offset % sizeof(uint) != 0)
            throw new ArgumentException($"{destination.Length} bytes at {offset}: log pages are read by 4 bytes", nameof(destination));
        if (destination.Length == 0)
            return;
        int most = Math.Min(destination.Length, Info.MaxTransferBytes);
        if (!Info.HasExtendedLogs && (offset != 0 || destination.Length > Math.Min(Info.MaxTransferBytes, MostWithoutOffsets)))
        {
            throw new VfioException(
                $"read of {destination.Length} bytes of log page {page:x2}h at {offset}", Name, Errno.NotSupported,
                "the controller has no offsets into log pages");
        }

        int pages = (most + NvmeRegisters.PageBytes - 1) / NvmeRegisters.PageBytes;
        using DmaBuffer buffer = _device.AllocateDma(most);
        using NvmePrpLists lists = new(_device, count: 1, pages * NvmeRegisters.PageBytes);
        while (destination.Length > 0)
        {
            int bytes = Math.Min(destination.Length, most);
            _admin.ReadLog(page, namespaceId, offset, buffer, bytes, lists);
            buffer.Read(0, destination[..bytes]);
            destination = destination[bytes..];
            offset += (ulong)bytes;
        }
    }

    /// <summary>Shuts the controller down, so that it keeps what was written, and gives the device back.</summary>
    /// <remarks>Queue pairs and block devices are disposed before.</remarks>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        try
        {
            Control.ShutDown();
        }
        catch (VfioException)
        {
            // A controller that is gone or broken has nothing to shut down; giving it back resets it.
        }

        _device.Dispose();
    }

    /// <summary>As <see cref="Dispose"/>, which waits for the controller to shut down, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <summary>Takes a queue pair away from the controller.</summary>
    internal void Release(NvmeQueuePair pair)
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            try
            {
                _admin.Delete(pair.Id);
                _takenQueues[pair.Id] = false;
            }
            catch (VfioException)
            {
                // The controller is gone or broken; a number that it may still have in use is not given again.
            }
        }
    }

    private void ConfigureShadow()
    {
        NvmeShadowDoorbells shadow = new(_device, Capabilities.DoorbellStrideBytes);
        if (_admin.TryConfigure(shadow))
            Control.Shadow = shadow;
        else
            shadow.Dispose();
    }

    // Vector 0 stays with the admin queue, which is polled, where there are others.
    private Interrupt FindVector(int queue)
    {
        int available = _device.Interrupts.Count(InterruptIndex.Msix);
        if (available == 0)
            throw new VfioException("use of interrupts", Name, Errno.NoEntry, "the function has no MSI-X; poll it");
        _vectors ??= _device.Interrupts.Enable(InterruptIndex.Msix, Math.Min(available, MaxQueuePairs + 1));
        int vector = _vectors.Count == 1 ? queue - 1 : queue;
        if (vector < _vectors.Count)
            return _vectors[vector];
        throw new VfioException($"use of interrupts by queue pair {queue}", Name, Errno.NoSpace, $"it has {available} vectors; poll it");
    }

    private List<NvmeNamespace> ReadNamespaces()
    {
        List<NvmeNamespace> found = [];
        NvmeNamespaceList active = _admin.Identify<NvmeNamespaceList>(structure: 2, 0, "active namespaces");
        for (int i = 0; i < LargestNamespaceList && active[i] != 0; i++)
        {
            NvmeStatus status = _admin.TryIdentify(structure: 0, active[i], $"namespace {active[i]}", out NvmeIdentifyNamespace fields);
            if (!status.IsSuccess)
                NvmeLog.NotReady(Options.Logger, Name, active[i], status);
            found.Add(new NvmeNamespace(this, active[i], fields, status));
        }

        return found;
    }
}
