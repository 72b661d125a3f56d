using Vfio.Cli;

return await CommandLine.RunAsync(args);
