namespace Vfio.Guard.Config;

/// <summary>Config space below the guard. Each call is one access.</summary>
internal interface IConfigAccess
{
    /// <summary>Whether what is below writes bits that it does not let through back as it read them. A write is then as narrow as the bits
    /// that it may change allow, so that no status bit beside them is cleared.</summary>
    bool MergesWrites { get; }

    /// <summary>Reads.</summary>
    /// <param name="offset">A multiple of <paramref name="width"/>.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    uint Read(int offset, int width);

    /// <summary>Writes.</summary>
    /// <param name="offset">A multiple of <paramref name="width"/>.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    /// <param name="value">The value.</param>
    void Write(int offset, int width, uint value);
}

/// <summary>Config space of a function that the guard has.</summary>
internal sealed class FunctionConfig(IPciFunction function) : IConfigAccess
{
    public bool MergesWrites => false;

    public uint Read(int offset, int width) => function.ReadConfig(offset, width);

    public void Write(int offset, int width, uint value) => function.WriteConfig(offset, width, value);
}
