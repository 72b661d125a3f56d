using SharpFuzz;
using Vfio.Tests.Fuzz.Targets;

// Vfio.Fuzz TARGET: under afl-fuzz, one input after the other. Vfio.Fuzz TARGET FILE...: each file once. Vfio.Fuzz: the targets.
if (args is [])
{
    Console.WriteLine(string.Join('\n', FuzzTargets.All.Keys));
    return 0;
}

if (!FuzzTargets.All.TryGetValue(args[0], out Action<byte[]>? target))
{
    Console.Error.WriteLine($"there is no target '{args[0]}'; there are {string.Join(", ", FuzzTargets.All.Keys)}");
    return 2;
}

if (args.Length == 1)
{
    Fuzzer.Run(stream =>
    {
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        target(bytes.ToArray());
    });
    return 0;
}

foreach (string file in args[1..])
{
    Console.WriteLine(file);
    target(File.ReadAllBytes(file));
}

return 0;
