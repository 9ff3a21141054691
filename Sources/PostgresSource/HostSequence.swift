import Invalidation

/// The hosts that one connection string names, tried in their order, each within a time of its own. libpq's way through
/// them waits without a limit where nobody waits in it: a primary that died without a word would keep the others away.
struct HostSequence {
  private var untried: [ConnectionParameters]
  private var failures: [String] = []

  init(_ parameters: ConnectionParameters) { untried = parameters.hosts }

  /// Begins to connect to the next one; the time that this may take is in nanoseconds. `failure` is what became of the
  /// one before. The error tells of all.
  mutating func connectNext(
    after failure: SourceFailure? = nil
  ) throws(SourceFailure) -> (session: Session, time: Int64) {
    var failure = failure
    while true {
      if let failure {
        failures.append(failure.message)
        guard !untried.isEmpty else {
          throw SourceFailure(failure.kind, failures.joined(separator: "; "))
        }
      }
      let next = untried.removeFirst()
      do throws(SourceFailure) {
        return (try Session(next), next.connectTime)
      } catch {
        failure = error
      }
    }
  }
}
