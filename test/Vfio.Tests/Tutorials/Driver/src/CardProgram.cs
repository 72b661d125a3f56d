// src/CardProgram.cs
using System.Diagnostics;
using Vfio;

namespace Fpga;

/// <summary>The program: tests the card at an address, and measures it.</summary>
public static class CardProgram
{
    private const int Transfers = 1000, Bytes = 64 * 1024;

    /// <summary>Runs it.</summary>
    /// <param name="args">The address: 0000:01:00.0 or unix:/run/card.sock.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args)
    {
        if (args is not [string address])
        {
            Console.Error.WriteLine("usage: Fpga ADDRESS");
            return 2;
        }

        try
        {
            using CardDriver card = new(VfioDevice.Open(address));
            Console.WriteLine($"{card.Name}: bitstream {card.Version}, scratch {(card.TestScratch(0x5555_aaaa) ? "works" : "is broken")}");
            byte[] data = new byte[Bytes], inverted = new byte[Bytes];
            Stopwatch clock = Stopwatch.StartNew();
            int done = 0;
            for (; done < Transfers && !card.Removed.IsCompleted; done++)
                card.Process(data, inverted);
            Console.WriteLine($"{done} transfers, {done * (long)Bytes / clock.Elapsed.TotalSeconds / 1e6:f0} MB/s each way");
            return 0;
        }
        catch (Exception failure) when (failure is IOException or NotSupportedException)
        {
            Console.Error.WriteLine(failure.Message);
            return 1;
        }
    }
}
