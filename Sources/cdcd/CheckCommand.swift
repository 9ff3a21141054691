import ArgumentParser
import Daemon
import PostgresSource

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Validates the rules file, then PostgreSQL; says what is wrong and what mends it.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "The file alone.")
  var offline = false

  @Flag(help: "Print the findings as JSON.")
  var json = false

  private struct Report: Encodable {
    var ok: Bool
    var findings: [Finding]
  }

  func run() throws {
    let configuration = try file.load()
    let findings = offline ? [] : try sourceFindings(configuration)
    if json {
      try Output.json(Report(ok: !findings.hasErrors, findings: findings))
    } else {
      for finding in findings { print(finding) }
      let rules = configuration.rules.count
      if findings.isEmpty { print("Everything is right: \(rules) rule\(rules == 1 ? "" : "s").") }
    }
    if findings.hasErrors { throw ExitCode.failure }
  }

  private func sourceFindings(_ configuration: Configuration) throws -> [Finding] {
    let session = try CatalogSession.opened(for: configuration)
    do {
      return try SourceCheck.findings(for: configuration, session: session)
    } catch {
      Output.error("\(error)")
      throw ExitCode.failure
    }
  }
}
