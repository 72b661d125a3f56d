namespace Vfio.Tests.Guard;

/// <summary>What a bit of config space is to the user of an assigned function.</summary>
internal enum UserBit
{
    /// <summary>The hardware's value is read; nothing that is written reaches it.</summary>
    Owners,

    /// <summary>As <see cref="Owners"/>, and the hardware clears it when a 1 is written: it must only ever see 0.</summary>
    OwnersStatus,

    /// <summary>Read from the hardware and written to it.</summary>
    Users,

    /// <summary>Read from the hardware; a written 1 reaches it and clears the bit.</summary>
    UsersStatus,

    /// <summary>Read and written in a copy; the hardware sees nothing.</summary>
    Copy,

    /// <summary>Read from a copy that the user cannot write.</summary>
    OwnersCopy,
}
