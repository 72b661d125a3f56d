using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>The machine that this process runs on.</summary>
internal sealed class LinuxBindingSystem : IBindingSystem
{
    private const int MaxRecordBytes = 4096;

    /// <inheritdoc/>
    public bool IsPrivileged => UserAccount.IsRoot;

    /// <inheritdoc/>
    public Errno AskExclusive(string node, DeviceNumber number) => DeviceNode.AskExclusive(node, number);

    /// <inheritdoc/>
    public FileStatus? StatusOf(string path, bool follow) => FileStatus.TryGet(path, follow);

    /// <inheritdoc/>
    public Errno MayWrite(string path) => DeviceNode.MayWrite(path);

    /// <inheritdoc/>
    public void WriteAttribute(KernelFunction function, string name, string value) => function.Write(name, value);

    /// <inheritdoc/>
    public void ChangeOwner(string node, DeviceNumber number, uint userId, uint groupId) => DeviceNode.ChangeOwner(node, number, userId, groupId);

    /// <inheritdoc/>
    public byte[]? ReadRecord(string folder, string name)
    {
        using RecordFolder? records = RecordFolder.Open(folder);
        return records?.Read(name, MaxRecordBytes);
    }

    /// <inheritdoc/>
    public void WriteRecord(string folder, string name, byte[]? content)
    {
        using RecordFolder? records = content is null ? RecordFolder.Open(folder) : Create(folder);
        if (content is null)
            records?.Delete(name);
        else
            records!.Replace(name, content);
    }

    /// <inheritdoc/>
    public IDisposable Lock(string folder)
    {
        RecordFolder records = Create(folder);
        try
        {
            records.Lock();
            return records;
        }
        catch
        {
            records.Dispose();
            throw;
        }
    }

    private static RecordFolder Create(string folder)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        return RecordFolder.OpenOrCreate(folder);
    }
}
