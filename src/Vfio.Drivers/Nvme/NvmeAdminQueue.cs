using Vfio.Native;

namespace Vfio.Drivers.Nvme;

/// <summary>Admin commands, one at a time and each waited for.</summary>
internal sealed class NvmeAdminQueue : IDisposable
{
    private const int QueueEntries = 32;
    private const uint FeatureNumberOfQueues = 0x07;
    private readonly Lock _lock = new();
    private readonly NvmeControl _control;
    private readonly NvmeRing _ring;
    private readonly DmaBuffer _data;

    internal NvmeAdminQueue(PciDevice device, NvmeControl control)
    {
        _control = control;
        _ring = new NvmeRing(device, control, 0, QueueEntries);
        _data = device.AllocateDma(NvmeRegisters.PageBytes);
    }

    /// <summary>Starts the controller with this queue.</summary>
    internal void Start() => _control.Start(_ring.Submissions, _ring.Completions, QueueEntries);

    /// <summary>Asks for one of the data structures of Identify.</summary>
    /// <typeparam name="T">Its layout, 4096 bytes.</typeparam>
    /// <param name="structure">CNS: which.</param>
    /// <param name="namespaceId">Of which namespace; 0 for none.</param>
    /// <param name="what">For messages.</param>
    internal T Identify<T>(uint structure, uint namespaceId, string what)
        where T : unmanaged
    {
        NvmeStatus status = TryIdentify(structure, namespaceId, what, out T data);
        return status.IsSuccess ? data : throw Refused($"identify {what}", status);
    }

    /// <summary>As <see cref="Identify"/>; a refusal is the result.</summary>
    internal NvmeStatus TryIdentify<T>(uint structure, uint namespaceId, string what, out T data)
        where T : unmanaged
    {
        lock (_lock)
        {
            NvmeSubmission command = new()
            {
                Opcode = NvmeOpcode.Identify,
                NamespaceId = namespaceId,
                Prp1 = _data.Start.Value,
                Dword10 = structure,
            };
            NvmeStatus status = TryDo(command, $"identify {what}", out _);
            data = status.IsSuccess ? _data.Read<T>(0) : default;
            return status;
        }
    }

    /// <summary>Reads part of a log page by one command.</summary>
    /// <param name="page">LID: which.</param>
    /// <param name="namespaceId">Of which namespace; all ones for the controller.</param>
    /// <param name="offset">Where in the page; a multiple of 4.</param>
    /// <param name="buffer">Where it goes, from its start on; as long as the part, in whole pages.</param>
    /// <param name="bytes">How much; a multiple of 4, at most what one command moves.</param>
    /// <param name="lists">For one command of that size.</param>
    internal void ReadLog(byte page, uint namespaceId, ulong offset, DmaBuffer buffer, int bytes, NvmePrpLists lists)
    {
        uint dwords = ((uint)bytes / sizeof(uint)) - 1;
        NvmeSubmission command = new()
        {
            Opcode = NvmeOpcode.GetLogPage,
            NamespaceId = namespaceId,
            Dword10 = dwords << 16 | page,
            Dword11 = dwords >> 16,
            Dword12 = (uint)offset,
            Dword13 = (uint)(offset >> 32),
        };

        // The list of command 0, for it is the only one; the command gets its own number later.
        lists.Describe(ref command, buffer.Start, bytes);
        Do(command, $"read of {bytes} bytes of log page {page:x2}h at {offset}");
    }

    /// <summary>Has the controller take doorbells from memory.</summary>
    /// <returns>False when it refuses.</returns>
    internal bool TryConfigure(NvmeShadowDoorbells shadow)
    {
        NvmeSubmission command = new()
        {
            Opcode = NvmeOpcode.DoorbellBufferConfig,
            Prp1 = shadow.Doorbells.Value,
            Prp2 = shadow.Events.Value,
        };
        return TryDo(command, "configuration of doorbells in memory", out _).IsSuccess;
    }

    /// <summary>Asks for I/O queues; once after the controller was started.</summary>
    /// <returns>How many pairs of queues it gives, from 1.</returns>
    internal int RequestQueuePairs(int wanted)
    {
        uint count = (uint)(wanted - 1);
        NvmeSubmission command = new()
        {
            Opcode = NvmeOpcode.SetFeatures,
            Dword10 = FeatureNumberOfQueues,
            Dword11 = count << 16 | count,
        };
        uint given = Do(command, $"request for {wanted} queue pairs");
        return (int)Math.Min(Math.Min(given & 0xffff, given >> 16), count) + 1;
    }

    /// <summary>Makes a pair of queues known to the controller; both or none.</summary>
    /// <param name="id">From 1.</param>
    /// <param name="ring">Their memory.</param>
    /// <param name="vector">Which MSI-X vector completions raise; null for none.</param>
    internal void Create(int id, NvmeRing ring, int? vector)
    {
        uint queue = (uint)(ring.Entries - 1) << 16 | (uint)id;
        const uint Contiguous = 1, InterruptsEnabled = 2;
        NvmeSubmission completions = new()
        {
            Opcode = NvmeOpcode.CreateCompletionQueue,
            Prp1 = ring.Completions.Value,
            Dword10 = queue,
            Dword11 = vector is { } number ? (uint)number << 16 | InterruptsEnabled | Contiguous : Contiguous,
        };
        Do(completions, $"creation of completion queue {id}");
        NvmeSubmission submissions = new()
        {
            Opcode = NvmeOpcode.CreateSubmissionQueue,
            Prp1 = ring.Submissions.Value,
            Dword10 = queue,
            Dword11 = (uint)id << 16 | Contiguous,
        };
        try
        {
            Do(submissions, $"creation of submission queue {id}");
        }
        catch (VfioException)
        {
            Do(new NvmeSubmission { Opcode = NvmeOpcode.DeleteCompletionQueue, Dword10 = (uint)id }, $"deletion of completion queue {id}");
            throw;
        }
    }

    /// <summary>Takes a pair of queues away from the controller: it does not touch their memory any more.</summary>
    internal void Delete(int id)
    {
        Do(new NvmeSubmission { Opcode = NvmeOpcode.DeleteSubmissionQueue, Dword10 = (uint)id }, $"deletion of submission queue {id}");
        Do(new NvmeSubmission { Opcode = NvmeOpcode.DeleteCompletionQueue, Dword10 = (uint)id }, $"deletion of completion queue {id}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ring.Dispose();
        _data.Dispose();
    }

    private VfioException Refused(string operation, NvmeStatus status) => new(operation, _control.Name, status.Errno, status.ToString());

    private uint Do(in NvmeSubmission command, string operation)
    {
        NvmeStatus status = TryDo(command, operation, out uint result);
        return status.IsSuccess ? result : throw Refused(operation, status);
    }

    private NvmeStatus TryDo(in NvmeSubmission command, string operation, out uint result)
    {
        lock (_lock)
        {
            if (!_ring.TryTakeId(out ushort id))
                throw new VfioException(operation, _control.Name, Errno.Busy, "earlier admin commands were never completed");
            NvmeSubmission numbered = command;
            numbered.CommandId = id;
            _ring.Put(numbered);
            _ring.RingDoorbell();
            NvmeWait wait = _control.BeginWait(operation, NvmeOptions.DefaultCommandTimeout);
            while (true)
            {
                // What an earlier command, given up by now, brings late is dropped.
                while (_ring.TryTake(out NvmeCompletion completion))
                {
                    _ring.RingHead();
                    if (completion.CommandId != id)
                        continue;
                    result = completion.Result;
                    return new NvmeStatus((uint)completion.PhaseAndStatus >> 1);
                }

                wait.SpinOnce();
                wait.ThrowIfOver();
            }
        }
    }
}
