import Invalidation
package import PostgresSource

/// What `cdcd check` asks of PostgreSQL.
package enum SourceCheck {
  /// Everything that is wrong, with the statement that mends it. Changes nothing but settings of the session.
  package static func findings(
    for configuration: Configuration, session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    let plan = try SetupPlan.make(for: configuration, session: session)
    let missing = plan.steps.map { step in
      Finding(
        step.isOptional ? .warning : .error, step.problem,
        remedy: step.remedy ?? "cdcd setup, or: \(step.statement)")
    }
    let stream = try StreamFacts.read(from: session)
    return plan.findings + missing + stream.findings(mode: configuration.source.mode)
  }
}
