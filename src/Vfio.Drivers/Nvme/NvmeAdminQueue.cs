using Vfio.Native;

namespace Vfio.Drivers.Nvme;

/// <summary>Admin commands, one at a time and each waited for.</summary>
internal sealed class NvmeAdminQueue : IDisposable
{
    private const int QueueEntries = 32;
    private const uint FeatureNumberOfQueues = 0x07;
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromSeconds(30);
    private readonly Lock _gate = new();
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
        lock (_gate)
        {
            NvmeSubmission command = new()
            {
                Opcode = NvmeOpcode.Identify,
                NamespaceId = namespaceId,
                Prp1 = _data.Start.Value,
                Dword10 = structure,
            };
            Do(command, $"identify {what}");
            return _data.Read<T>(0);
        }
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

    private uint Do(in NvmeSubmission command, string operation)
    {
        lock (_gate)
        {
            if (!_ring.TryTakeId(out ushort id))
                throw new VfioException(operation, _control.Name, Errno.Busy, "earlier admin commands were never completed");
            NvmeSubmission numbered = command;
            numbered.CommandId = id;
            _ring.Put(numbered);
            _ring.RingDoorbell();
            LivenessWait wait = _control.BeginWait(operation, CommandTimeout);
            while (true)
            {
                // What an earlier command, given up by now, brings late is dropped.
                while (_ring.TryTake(out NvmeCompletion completion))
                {
                    _ring.RingHead();
                    if (completion.CommandId != id)
                        continue;
                    NvmeStatus status = new((uint)completion.PhaseAndStatus >> 1);
                    return status.IsSuccess
                        ? completion.Result
                        : throw new VfioException(operation, _control.Name, status.Errno, status.ToString());
                }

                wait.SpinOnce();
                if (wait.IsOver())
                    throw _control.NotInTime(operation, CommandTimeout);
            }
        }
    }
}
