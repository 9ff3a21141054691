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
    Daemon.handleEarlySignals()
    let configuration = try load()
    let refusals = await CoverageGate.refusals(for: configuration, within: .seconds(5))
    guard refusals.isEmpty else {
      for refusal in refusals { StartLog.refuse("\(refusal.problem) \(refusal.remedy)", configuration.log) }
      throw ExitCode.configurationIsWrong
    }
    let daemon = Daemon(configuration: configuration, acceptGap: acceptGap) { [file] in try file.read() }
    do {
      throw ExitCode(try await daemon.run())
    } catch let error as ListenError {
      StartLog.refuse("\(error)", configuration.log)
      throw ExitCode.failure
    }
  }

  /// How the file wants the log is not known while it is wrong.
  private func load() throws -> Configuration {
    guard StartLog.isJournal else { return try file.load() }
    do {
      return try file.read()
    } catch let error as ConfigurationError {
      for problem in error.problems { StartLog.refuse("\(problem)") }
      throw ExitCode.configurationIsWrong
    }
  }
}
