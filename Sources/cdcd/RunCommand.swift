import ArgumentParser
import Daemon
import Foundation

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs the daemon. It ends by SIGTERM, with 0.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Take the gaps found in the WAL up to its present end as accepted.")
  var acceptGap = false

  func run() async throws {
    let configuration = try file.load()
    let refusals = await CoverageGate.refusals(for: configuration, within: .seconds(5))
    guard refusals.isEmpty else {
      for refusal in refusals { Output.error("\(refusal)") }
      throw ExitCode.configurationIsWrong
    }
    let status = try await Daemon(configuration: configuration, acceptGap: acceptGap).run()
    throw ExitCode(status)
  }
}
