import Foundation
import Invalidation
import Logging
import PostgresSource

/// What `cdcd run` asks before it starts: rules that the replica identity does not cover, or whose
/// conditions never hold, are refused, since keys would stay for ever. What else hides changes is a warning.
package enum CoverageGate {
  /// Why the daemon must not start; warnings go to the log. Empty when PostgreSQL cannot be reached, answers with
  /// an error, or does not answer within `limit`: the daemon itself waits and retries.
  package static func refusals(for configuration: Configuration, within limit: Duration) async -> [Finding] {
    let findings = await findings(for: configuration, within: limit)
    let logger = Logger(configuration.log)
    for finding in findings where finding.severity == .warning || !finding.keepsFromRunning {
      logger.warning("\(finding.problem) \(finding.remedy)", metadata: ["cause": "check"])
    }
    return findings.filter { $0.severity == .error && $0.keepsFromRunning }
  }

  private static func findings(for configuration: Configuration, within limit: Duration) async -> [Finding] {
    let (answers, answer) = AsyncStream.makeStream(of: [Finding].self)
    // A thread of its own: libpq blocks, and a frozen server would take a thread of the pool for ever.
    Thread.detachNewThread { answer.yield(blockingFindings(for: configuration)) }
    let clock = Task {
      try await Task.sleep(for: limit)
      answer.yield([unchecked("no answer within \(limit)")])
    }
    defer { clock.cancel() }
    for await findings in answers { return findings }
    return []
  }

  private static func blockingFindings(for configuration: Configuration) -> [Finding] {
    do {
      let session = try CatalogSession(connection: configuration.source.postgres)
      let triggers = try DDLTriggers.read(from: session)
      return try IdentityCoverage.findings(
        rules: configuration.rules, mode: configuration.source.mode, session: session)
        + ConditionCheck.findings(rules: configuration.rules, session: session)
        + hiddenTruncates(configuration, session)
        + (triggers.areInstalled
          ? [] : [Finding(.warning, DDLTriggers.problem, remedy: "Needed: " + triggers.remedy + ".")])
    } catch let failure as SourceFailure {
      return [unchecked(failure.message)]
    } catch {
      return [unchecked("\(error)")]
    }
  }

  /// Nothing in the stream tells of them.
  private static func hiddenTruncates(
    _ configuration: Configuration, _ session: CatalogSession
  ) throws(CatalogError) -> [Finding] {
    guard configuration.source.mode == .pgoutput,
      let publication = try PublicationFacts.read(configuration.source.publication, from: session),
      publication.viaRoot
    else { return [] }
    for name in IdentityCoverage.tableNames(of: configuration.rules) {
      guard try RuledTable.read(name, from: session)?.isPartitioned == true else { continue }
      let step = publication.viaRootStep
      return [Finding(.warning, step.problem, remedy: "Needed: cdcd setup, or: " + step.statement)]
    }
    return []
  }

  private static func unchecked(_ reason: String) -> Finding {
    Finding(
      .warning,
      "The replica identities could not be checked: \(reason)"
        + (reason.last.map { ".?!".contains($0) } == true ? "" : "."),
      remedy: "cdcd goes on and retries.")
  }
}
