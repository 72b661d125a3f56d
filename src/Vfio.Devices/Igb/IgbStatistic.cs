namespace Vfio.Devices.Igb;

/// <summary>Those statistics of the 82576 that this model counts, by their number in <see cref="IgbRegister.Statistic"/>. All others stay
/// 0: what they count does not happen here.</summary>
/// <remarks>82576 Datasheet, section 8.18.</remarks>
internal enum IgbStatistic
{
    /// <summary>CRCERRS.</summary>
    CrcErrors = 0,

    /// <summary>MPC.</summary>
    MissedPackets = 4,

    /// <summary>RLEC.</summary>
    ReceiveLengthErrors = 16,

    /// <summary>PRC64.</summary>
    Received64 = 23,

    /// <summary>PRC127.</summary>
    Received127 = 24,

    /// <summary>PRC255.</summary>
    Received255 = 25,

    /// <summary>PRC511.</summary>
    Received511 = 26,

    /// <summary>PRC1023.</summary>
    Received1023 = 27,

    /// <summary>PRC1522.</summary>
    Received1522 = 28,

    /// <summary>GPRC.</summary>
    GoodReceived = 29,

    /// <summary>BPRC.</summary>
    BroadcastsReceived = 30,

    /// <summary>MPRC.</summary>
    MulticastsReceived = 31,

    /// <summary>GPTC.</summary>
    GoodSent = 32,

    /// <summary>GORCL, with GORCH after it.</summary>
    GoodOctetsReceived = 34,

    /// <summary>GOTCL, with GOTCH after it.</summary>
    GoodOctetsSent = 36,

    /// <summary>RNBC.</summary>
    NoBuffers = 40,

    /// <summary>RUC.</summary>
    Undersize = 41,

    /// <summary>ROC.</summary>
    Oversize = 43,

    /// <summary>TORL, with TORH after it.</summary>
    TotalOctetsReceived = 48,

    /// <summary>TOTL, with TOTH after it.</summary>
    TotalOctetsSent = 50,

    /// <summary>TPR.</summary>
    TotalReceived = 52,

    /// <summary>TPT.</summary>
    TotalSent = 53,

    /// <summary>PTC64.</summary>
    Sent64 = 54,

    /// <summary>PTC127.</summary>
    Sent127 = 55,

    /// <summary>PTC255.</summary>
    Sent255 = 56,

    /// <summary>PTC511.</summary>
    Sent511 = 57,

    /// <summary>PTC1023.</summary>
    Sent1023 = 58,

    /// <summary>PTC1522.</summary>
    Sent1522 = 59,

    /// <summary>MPTC.</summary>
    MulticastsSent = 60,

    /// <summary>BPTC.</summary>
    BroadcastsSent = 61,

    /// <summary>TSCTC.</summary>
    Segmentations = 62,

    /// <summary>IAC.</summary>
    Interrupts = 64,

    /// <summary>RXDMTC.</summary>
    BelowThreshold = 72,
}
