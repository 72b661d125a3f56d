using System.Buffers.Binary;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Rules;
using Vfio.Tests.Pci;

namespace Vfio.Tests.Guard;

/// <summary>The model that config space is checked against notices every rule that is not as it should be: a field of any table that
/// another rule is given to, one at a time.</summary>
public sealed class RuleMutationTests
{
    // Status bits that are cleared together hide each other: each run clears other ones first; and 0x2a without the highest bit of a
    // register, which in DevCtl is a reset of the function and leaves nothing to see.
    private static readonly byte[][] Runs = [[0x00, 0x55, 0xff, 0x00], [0xaa, 0xff], [0x2a]];

    public static TheoryData<ushort, bool> Kinds() =>
        [.. CapabilityCatalog.All.Select(table => (table.Id, table.IsExtended))];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_field_of_a_capability_with_another_rule_is_noticed(ushort id, bool isExtended)
    {
        Dictionary<string, bool> mutants = [];
        for (int seed = 0; seed < 2; seed++)
        {
            byte[] config = Make(new Random(seed), id, isExtended);
            TryAll(config, new ulong[7], structure => structure.Offset == (isExtended ? 0x100 : 0x80), mutants);
        }

        Assert.NotEmpty(mutants);
        Assert.Empty(Unnoticed(mutants));
    }

    [Fact]
    public void A_field_of_the_header_with_another_rule_is_noticed()
    {
        Random random = new(1);
        Dictionary<string, bool> mutants = [];
        for (int i = 0; i < 8; i++)
        {
            byte[] config = RandomConfig.Make(random, out ulong[] lengths);
            // All status bits, and bits of the ROM's register that users see as 0.
            config[7] |= 0xf9;
            config[0x30] |= 0xfe;
            TryAll(config, lengths, structure => structure.Offset == 0, mutants);
        }

        Assert.Empty(Unnoticed(mutants));
    }

    private static IEnumerable<string> Unnoticed(Dictionary<string, bool> mutants) =>
        mutants.Where(mutant => !mutant.Value).Select(mutant => mutant.Key);

    /// <summary>Nothing is left to chance here: a table that gives a bit away, or keeps one, fails at that bit.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Each_dword_of_a_capability_is_what_the_facts_say(ushort id, bool isExtended)
    {
        for (int seed = 0; seed < 3; seed++)
        {
            byte[] config = Make(new Random(seed), id, isExtended);
            int start = isExtended ? 0x100 : 0x80;
            foreach (byte[] values in Runs)
            {
                using ConfigRun run = new(config, new ulong[7]);
                for (int dword = start; dword < Math.Min(start + 0x180, config.Length); dword += 4)
                {
                    foreach (byte value in values)
                        Assert.Null(run.Write(dword, [value, value, value, value]));
                }
            }
        }
    }

    /// <summary>Tries each mutant of some structures; what was noticed once, in any config space, is noticed.</summary>
    private static void TryAll(byte[] config, ulong[] lengths, Func<RuledStructure, bool> isMeant, Dictionary<string, bool> mutants)
    {
        ConfigSpace space = new(config);
        foreach (RuledStructure structure in RuledStructure.Of(space, CapabilityList.Read(space)).Where(isMeant))
        {
            // Of long arrays of the same register some are enough.
            IEnumerable<Register> registers = structure.Registers.Where((_, index) => index < 24 || index % 32 == 0);
            foreach ((Register register, Field field) in registers.SelectMany(register => register.Select(field => (register, field))))
            {
                int dword = (structure.Offset + register.Offset) & ~3;
                uint mask = field.Mask << (8 * (register.Offset & 3));
                foreach (BitRule other in Mutants(field))
                {
                    string name = $"{structure.Name}, {register.Name}, {field.Name}: {field.Rule} made {other}";
                    mutants[name] = mutants.GetValueOrDefault(name) || IsNoticed(config, lengths, dword, mask, other);
                }
            }
        }
    }

    /// <summary>Rules that make a difference: what is the owner's given to the user, and what is the user's kept back.</summary>
    private static IEnumerable<BitRule> Mutants(Field field)
    {
        BitRule rule = field.Rule;
        if (rule is BitRule.PassedThrough or BitRule.WriteOneToClear)
            return [BitRule.Fixed, BitRule.Virtual];
        if (rule is BitRule.Virtual)
            return [BitRule.Fixed, BitRule.PassedThrough];
        // Pending bits of MSI are brought up to date before they are read, whatever was written.
        if (rule is BitRule.VirtualFixed)
            return field.Name == "Pending" ? [BitRule.PassedThrough] : [BitRule.PassedThrough, BitRule.Virtual];
        // A status bit made fixed stays one: the guard takes what a written 1 clears from the tables, so that no rule added later lets a
        // write clear it.
        return [BitRule.PassedThrough, BitRule.Virtual];
    }

    private static bool IsNoticed(byte[] config, ulong[] lengths, int dword, uint mask, BitRule rule) => Runs.Any(values =>
    {
        using ConfigRun run = new(config, lengths, rules => rules.Set(rule, dword, mask));
        return run.Read(dword, 4) is not null || values.Any(value => run.Write(dword, [value, value, value, value]) is not null);
    });

    private static byte[] Make(Random random, ushort id, bool isExtended)
    {
        MadeFunction function = isExtended ? MadeFunction.Express("02 01") : new MadeFunction(256);
        int at = isExtended ? 0x100 : 0x80;
        random.NextBytes(function.Bytes.AsSpan(at));
        // All status bits are set, so that clearing one shows.
        function.Bytes.AsSpan(at + 4, 0x1c).Fill(0xff);
        if (isExtended)
            function.Extended(at, id, version: 1);
        else
            function.Standard(at, (byte)id).Bytes[at + 1] = 0;
        // Sizes that the structure itself contains stay small.
        switch (id, isExtended)
        {
            case (0x09, false):
                function.Bytes[at + 2] = 0x20;
                break;
            case (0x0b or 0x23, true):
                BinaryPrimitives.WriteUInt32LittleEndian(function.Bytes.AsSpan(at + 4), 0x0200_1234);
                break;
        }

        return function.Bytes;
    }
}
