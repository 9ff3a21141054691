import ArgumentParser
import Daemon
import Foundation

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs the daemon. It ends by SIGTERM, with 0.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Take the next gap of a rule with on_gap: halt as accepted, once.")
  var acceptGap = false

  func run() async throws {
    let configuration = try file.load()
    let findings = await CoverageGate.findings(for: configuration, within: .seconds(10))
    for finding in findings { Output.error("\(finding)") }
    guard !findings.hasErrors else { throw ExitCode.configurationIsWrong }
    let status = try await Daemon(configuration: configuration, acceptGap: acceptGap).run()
    throw ExitCode(status)
  }
}
