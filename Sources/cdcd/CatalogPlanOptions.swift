import ArgumentParser
import Daemon
import Invalidation
import PostgresSource

/// What commands that change the catalogue take, and how they go about it.
struct CatalogPlanOptions: ParsableArguments {
  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Print the SQL and run none of it.")
  var dryRun = false

  /// `nothing` is said when there was nothing to do.
  func carryOut(
    _ makePlan: (Configuration, CatalogSession) throws(CatalogError) -> CatalogPlan, nothing: String
  ) throws {
    let configuration = try file.load()
    let session = try CatalogSession.opened(for: configuration)
    do {
      let plan = try makePlan(configuration, session)
      let findings = dryRun ? plan.findings.map { $0.toldBesideSQL() } : plan.findings
      for finding in findings { Output.error("\(finding)") }
      // Nothing is printed then, so that `--dry-run | psql` does not do what the command refuses to do.
      guard !findings.hasErrors else { throw ExitCode.failure }
      if dryRun {
        for step in plan.steps { print(step.statement) }
      } else {
        try plan.run(on: session) { print($0) }
        print(plan.steps.isEmpty ? nothing : "Done.")
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
