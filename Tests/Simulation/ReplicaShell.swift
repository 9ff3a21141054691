@testable import Invalidation

/// The shell's side of the read replicas: at most one question to each, and an answer to every one.
final class ReplicaShell {
  unowned let instance: Instance
  private var isAsking: Set<Int> = []
  private var random: Randomness

  init(instance: Instance) {
    self.instance = instance
    self.random = Randomness(seed: instance.world.seed ^ 0xA5C_0D ^ UInt64(instance.index) << 40)
  }

  /// The process has gone, and its questions with it.
  func close() { isAsking = [] }

  func ask(_ index: Int, for process: Instance.Process) {
    let world = instance.world
    guard world.replicas.indices.contains(index) else {
      return world.fail("effect", "askReplica(\(index)) where there are \(world.replicas.count)")
    }
    guard isAsking.insert(index).inserted else {
      return world.fail("effect", "two questions to replica \(index) at a time")
    }
    let replica = world.replicas[index]
    world.after(latency()) { [self] in
      guard replica.frozenUntil <= world.now else {
        return answer(
          .replicaFailed(replica: index, reason: "timeout"), index, process, after: 5 * Time.second)
      }
      let event =
        replica.facts.map { Event.replicaAnswered(replica: index, $0) }
        ?? .replicaFailed(replica: index, reason: "connection refused")
      answer(event, index, process, after: latency())
    }
  }

  private func answer(_ event: Event, _ index: Int, _ process: Instance.Process, after delay: Int64) {
    instance.world.after(delay) { [self] in
      guard instance.process === process else { return }
      isAsking.remove(index)
      instance.post(event, from: nil)
    }
  }

  /// Whether the Engine has met every replica since its last start.
  var isInformed: Bool {
    guard let process = instance.process else { return false }
    return instance.world.replicas.allSatisfy { replica in
      replica.incarnation == 1
        || process.engine.replicas[replica.index].entry
          == ReplicaState.entry(of: replica.name, "start-\(replica.incarnation)")
    }
  }

  private func latency() -> Int64 {
    random.chance(900) ? random.between(60_000, 2_000_000) : random.between(2_000_000, 200_000_000)
  }
}
