import Invalidation
import PostgresSource

/// The declared read replicas of a flush: each has to show what the primary showed before the walk may begin.
struct ReplicaCatchUp {
  private let source: Configuration.Source
  /// Which start of which server was waited for, by its place in `source.replicas`.
  private var incarnations: [String] = []

  init(_ source: Configuration.Source) { self.source = source }

  /// Returns when every replica has replayed what the primary's WAL holds now. Without replicas it asks nobody.
  mutating func wait(_ patience: inout FlushPatience) throws(FlushEnding) {
    guard !source.replicas.isEmpty else { return }
    let primary = try primaryPosition(&patience)
    incarnations = []
    for replica in source.replicas {
      incarnations.append(try wait(for: replica, primary, &patience))
    }
  }

  private func primaryPosition(_ patience: inout FlushPatience) throws(FlushEnding) -> PrimaryPosition {
    while true {
      do throws(SourceFailure) {
        let position = try PrimaryPosition.read(from: source.postgres)
        patience.succeeded()
        return position
      } catch {
        try patience.failed(
          "\(source.redacted), which source.replicas have to catch up with: \(error.message)")
      }
    }
  }

  /// Its incarnation.
  private func wait(
    for replica: String, _ primary: PrimaryPosition, _ patience: inout FlushPatience
  ) throws(FlushEnding) -> String {
    let name = "read replica \(Configuration.Source.redacted(replica))"
    var session: ReplicaSession?
    var furthest = LSN.zero
    while true {
      switch ask(replica, &session) {
      case .failure(let failure): try patience.failed("\(name): \(failure.message)")
      case .success(let facts):
        if let problem = facts.problem(system: primary.system, timeline: primary.timeline) {
          try patience.failed("\(name): \(problem)")
        } else if facts.replayed >= primary.end {
          patience.succeeded()
          return facts.incarnation
        } else {
          if facts.replayed > furthest { patience.succeeded() }
          furthest = max(furthest, facts.replayed)
          let state = "it has replayed \(facts.replayed), and the primary is at \(primary.end)"
          patience.tell(waitingFor: name, state)
          try patience.failed("\(name): \(state)", isNews: false)
        }
      }
    }
  }

  private func ask(
    _ replica: String, _ session: inout ReplicaSession?
  ) -> Result<ReplicaFacts, SourceFailure> {
    do throws(SourceFailure) {
      if let session { return .success(try session.facts()) }
      let opened = try ReplicaSession(connection: replica)
      session = opened
      return .success(try opened.facts())
    } catch {
      session = nil
      return .failure(error)
    }
  }

  /// Whether one of them was started anew since: until it had caught up, its readers may have seen older rows.
  func mayHaveShownOlderRows(_ patience: inout FlushPatience) throws(FlushEnding) -> Bool {
    for (replica, incarnation) in zip(source.replicas, incarnations) {
      let name = "read replica \(Configuration.Source.redacted(replica))"
      var session: ReplicaSession?
      var facts: ReplicaFacts?
      while facts == nil {
        switch ask(replica, &session) {
        case .success(let answer): facts = answer
        case .failure(let failure):
          try patience.failed("\(name), whose readers may have seen older rows: \(failure.message)")
        }
      }
      patience.succeeded()
      guard facts?.incarnation == incarnation else {
        patience.tell(retrying: "\(name) was started anew, and may have shown older rows")
        return true
      }
    }
    return false
  }
}
