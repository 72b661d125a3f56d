namespace Vfio.Devices.Bench;

/// <summary>What a write of <see cref="BenchRegister.DmaGo"/> runs. The device's side is always the start of BAR2.</summary>
internal enum BenchOperation : uint
{
    /// <summary>Memory to BAR2, looked up and copied.</summary>
    Read = 1,

    /// <summary>BAR2 to memory.</summary>
    Write = 2,

    /// <summary>As <see cref="Read"/>; another server may have a shorter way for one segment.</summary>
    DirectRead = 3,

    /// <summary>As <see cref="Read"/>, of memory that its owner is asked for by messages.</summary>
    MessageRead = 4,

    /// <summary>As <see cref="Write"/>, to memory that its owner is asked for by messages.</summary>
    MessageWrite = 5,

    /// <summary>The look-up alone.</summary>
    Translate = 6,
}
