import Invalidation
import PostgresSource

/// What `cdcd check` asks of the read replicas.
enum ReplicaCheck {
  /// Connects to one after the other. `primary` is nil when it could not be asked. `isComplete` becomes false when one
  /// cannot be reached.
  static func findings(
    for source: Configuration.Source, primary: (system: String, timeline: UInt32)?, isComplete: inout Bool
  ) -> [Finding] {
    var findings: [Finding] = []
    for replica in source.replicas {
      let problem: String?
      do throws(SourceFailure) {
        let facts = try ReplicaSession(connection: replica).facts()
        problem = facts.problem(
          system: primary?.system ?? facts.systemIdentifier, timeline: primary?.timeline ?? facts.timeline)
      } catch {
        problem = error.message
        isComplete = false
      }
      guard let problem else { continue }
      findings.append(
        Finding(
          "Read replica \(Configuration.Source.redacted(replica)) does not count: second deletes, and /wait, wait for it.",
          remedy: problem))
    }
    return findings
  }
}
