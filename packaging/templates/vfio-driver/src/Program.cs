using Driver._1;
using Vfio;

// A model in this process, unless an address is given: 0000:01:00.0, or unix:/run/edu.sock.
string address = args.FirstOrDefault("model:edu");
try
{
    using EduDriver edu = new(VfioDevice.Open(address));
    Console.WriteLine($"{edu.Name}: 10! = {edu.Factorial(10)}");
    return 0;
}
catch (VfioException refused)
{
    Console.Error.WriteLine(refused.Message);
    return 1;
}
