import ArgumentParser
import Daemon

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract:
      "Validates the rules file, then PostgreSQL, read replicas and Redis; says what is wrong and what mends it."
  )

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
      let check = offline ? nil : ServerCheck(of: configuration)
      let findings = HTTPCheck.findings(for: configuration.http) + (check?.findings ?? [])
      try report(findings, rules: configuration.rules.count)
      if check?.isComplete == false { throw ExitCode.serverIsAway }
      if findings.hasErrors { throw ExitCode.failure }
    } catch let error as ConfigurationError where json {
      try report(error.problems.map { Finding($0.subject, remedy: "expected \($0.expected)") })
      throw ExitCode.configurationIsWrong
    } catch let error as ConfigurationError {
      Output.error("\(error)")
      throw ExitCode.configurationIsWrong
    }
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
