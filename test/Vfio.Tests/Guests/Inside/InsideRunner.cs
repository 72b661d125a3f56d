using System.Reflection;
using System.Runtime.ExceptionServices;
using Xunit.Sdk;
using Xunit.v3;

namespace Vfio.Tests.Guests.Inside;

/// <summary>Runs all tests of some classes, one after the other, by reflection.</summary>
/// <remarks>xunit looks at every test of the assembly before it runs one: half a second here, half a minute on an emulated processor.</remarks>
internal static class InsideRunner
{
    /// <summary>The word before the names of the classes on the command line.</summary>
    internal const string Word = "--inside";

    /// <returns>The exit code: 0 when no test failed.</returns>
    internal static async Task<int> RunAsync(IEnumerable<string> classes, TextWriter output)
    {
        int total = 0, failed = 0, skipped = 0;
        foreach (Type type in classes.Select(name => typeof(InsideRunner).Assembly.GetType(name, throwOnError: true)!))
        {
            foreach (MethodInfo method in type.GetMethods().Where(method => method.GetCustomAttribute<FactAttribute>() is not null))
            {
                foreach (object?[] arguments in ArgumentsOf(method))
                {
                    total++;
                    try
                    {
                        await RunAsync(type, method, arguments);
                    }
                    catch (Exception skip) when (skip.Message.StartsWith(DynamicSkipToken.Value, StringComparison.Ordinal))
                    {
                        skipped++;
                    }
                    catch (Exception failure)
                    {
                        failed++;
                        output.WriteLine($"{type.FullName}.{method.Name}({string.Join(", ", arguments)}): {failure}");
                    }
                }
            }
        }

        output.WriteLine(Summary(total, failed, skipped));
        return failed == 0 ? 0 : 1;
    }

    /// <summary>The last line that a run prints.</summary>
    internal static string Summary(int total, int failed, int skipped) => $"Total: {total}, Failed: {failed}, Skipped: {skipped}";

    private static IEnumerable<object?[]> ArgumentsOf(MethodInfo method)
    {
        if (method.GetCustomAttribute<TheoryAttribute>() is null)
            return [[]];
        MemberDataAttribute? member = method.GetCustomAttribute<MemberDataAttribute>();
        return member is null
            ? method.GetCustomAttributes<InlineDataAttribute>().Select(data => data.Data)
            : ((IEnumerable<ITheoryDataRow>)method.DeclaringType!.GetProperty(member.MemberName)!.GetValue(null)!).Select(row => row.GetData());
    }

    private static async Task RunAsync(Type type, MethodInfo method, object?[] arguments)
    {
        object instance = Activator.CreateInstance(type)!;
        using IDisposable? owner = instance as IDisposable;
        try
        {
            if (method.Invoke(instance, arguments) is Task running)
                await running;
        }
        catch (TargetInvocationException failure)
        {
            ExceptionDispatchInfo.Throw(failure.InnerException!);
        }
    }
}
