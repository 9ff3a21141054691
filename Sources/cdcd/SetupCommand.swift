import ArgumentParser
import Daemon
import Invalidation
import PostgresSource

struct SetupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "setup",
    abstract: "Creates what is missing in PostgreSQL: the publication of the ruled tables, and the slot.",
    discussion: "What is there stays as it is: it may run at any time, also after every change of the rules.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Print the SQL and run none of it.")
  var dryRun = false

  func run() throws {
    let configuration = try file.load()
    let session = try CatalogSession.opened(for: configuration)
    do {
      let plan = try SetupPlan.make(for: configuration, session: session)
      for finding in plan.findings { Output.error("\(finding)") }
      // Nothing is printed then, so that `--dry-run | psql` does not do what setup refuses to do.
      guard !plan.findings.hasErrors else { throw ExitCode.failure }
      if dryRun {
        for step in plan.steps { print(step.statement) }
      } else {
        try plan.run(on: session) { print($0) }
        if plan.steps.isEmpty { print("Nothing is missing.") }
      }
    } catch let error as CatalogError {
      Output.error(error.advice)
      throw ExitCode.failure
    }
  }
}

extension CatalogSession {
  /// Exits with 69 when the server cannot be reached.
  static func opened(for configuration: Configuration) throws -> CatalogSession {
    do {
      return try CatalogSession(connection: configuration.source.postgres)
    } catch {
      Output.error("\(configuration.source.redacted): \(error.message)")
      throw ExitCode.serverIsAway
    }
  }
}
