import ArgumentParser
import Daemon
import Foundation

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs the daemon. SIGTERM ends it, with 0; SIGHUP has it read the rules again.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Take the gaps found in the WAL up to its present end as accepted.")
  var acceptGap = false

  func run() async throws {
    Daemon.ignoreReload()
    let configuration = try file.load()
    let refusals = await CoverageGate.refusals(for: configuration, within: .seconds(5))
    guard refusals.isEmpty else {
      for refusal in refusals { Output.error("\(refusal)") }
      throw ExitCode.configurationIsWrong
    }
    let daemon = Daemon(configuration: configuration, acceptGap: acceptGap) { [file] in try file.read() }
    let status = try await daemon.run()
    throw ExitCode(status)
  }
}
