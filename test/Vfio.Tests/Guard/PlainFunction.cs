using Vfio.Guard;

namespace Vfio.Tests.Guard;

/// <summary>A software function that does nothing by itself, to be poked by tests.</summary>
internal class PlainFunction : EmulatedFunction
{
    public PlainFunction(FunctionDescription description, params (int Number, BarContent Content, BarType Type)[] bars)
        : base(description)
    {
        foreach ((int number, BarContent content, BarType type) in bars)
        {
            if (number == 6)
                AddRom(content);
            else
                AddBar(number, content, type);
        }
    }

    public int Resets { get; private set; }

    public new IPciSlot Slot => base.Slot;

    public new void Interrupt(int vector) => base.Interrupt(vector);

    public new void EndInterrupt() => base.EndInterrupt();

    protected override void OnReset() => Resets++;
}
