import Invalidation
import PostgresSource

/// What `cdcd check` asks of PostgreSQL.
enum SourceCheck {
  /// Everything that is wrong, with the statement that mends it. Changes nothing but settings of the session.
  static func findings(
    for configuration: Configuration, session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    let source = configuration.source
    let plan = try CatalogPlan.setup(for: configuration, session: session)
    let missing = plan.steps.map(\.finding)
    let stream = try StreamFacts.read(from: session).findings(mode: source.mode)
    let slot = try SlotFacts.read(source.slot, from: session)
    var findings = plan.findings + missing + stream
    if source.mode == .notify {
      if try session.meetsPooler() { findings.append(Finding(.pooler)) }
    } else {
      findings += try way(to: slot, for: configuration, session)
      findings += try SlotRisks.read(from: session).findings(source, slot: slot.slot)
    }
    return findings + (try CommitCheck.findings(losslessCrash: source.losslessCrash, session: session))
  }

  /// Whether the daemon's connections lead to this server.
  private static func way(
    to slot: SlotFacts, for configuration: Configuration, _ session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    if try session.meetsPooler() { return [Finding(.pooler)] }
    // What else keeps it from replicating is told already.
    guard !slot.isInRecovery, slot.mayReplicate, slot.walLevel != "minimal" else { return [] }
    let found = try session.problemOfReplication(for: PostgresSourceConfiguration(configuration))
    guard let problem = found else { return [] }
    guard slot.slot?.isActive == true, problem != .differentServers else { return [Finding(problem)] }
    return [
      Finding(
        .warning,
        "cdcd streams, and one more replication connection fails: a second one could not take over from it.",
        remedy: problem.remedy)
    ]
  }
}
