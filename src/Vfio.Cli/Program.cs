using Vfio.Cli;

RuntimeFiles.Remove();
return await CommandLine.RunAsync(args);
