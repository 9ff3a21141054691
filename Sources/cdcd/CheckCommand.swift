import ArgumentParser
import Daemon
import Invalidation
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
    do {
      let configuration = try file.read()
      let findings = offline ? [] : try sourceFindings(configuration)
      try report(findings, rules: configuration.rules.count)
      if findings.hasErrors { throw ExitCode.failure }
    } catch let error as ConfigurationError where json {
      try report(error.problems.map { Finding($0.subject, remedy: "expected \($0.expected)") })
      throw ExitCode.configurationIsWrong
    } catch let error as ConfigurationError {
      Output.error("\(error)")
      throw ExitCode.configurationIsWrong
    } catch let failure as SourceFailure {
      try report([Finding("PostgreSQL cannot be reached.", remedy: failure.message)])
      throw ExitCode.serverIsAway
    } catch let error as CatalogError {
      try report([Finding("PostgreSQL refused a question.", remedy: error.advice)])
      throw ExitCode.failure
    }
  }

  private func sourceFindings(_ configuration: Configuration) throws -> [Finding] {
    let session = try CatalogSession(connection: configuration.source.postgres)
    return try SourceCheck.findings(for: configuration, session: session)
  }

  private func report(_ findings: [Finding], rules: Int = 0) throws {
    if json {
      try Output.json(Report(ok: !findings.hasErrors, findings: findings))
    } else {
      for finding in findings { print(finding) }
      if findings.isEmpty { print("Everything is right: \(rules) rule\(rules == 1 ? "" : "s").") }
    }
  }
}
