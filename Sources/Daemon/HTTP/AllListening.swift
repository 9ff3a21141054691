import Synchronization

/// Waits until every HTTP address listens.
final class AllListening: Sendable {
  private let expected: Int
  private let listening = Mutex<[Int: ListenAddress]>([:])
  private let onComplete: @Sendable ([ListenAddress]) -> Void

  /// `onComplete` is called once, with the addresses as they came to be and in their order; at once where there are none.
  init(count: Int, onComplete: @escaping @Sendable ([ListenAddress]) -> Void) {
    expected = count
    self.onComplete = onComplete
    if count == 0 { onComplete([]) }
  }

  /// `place` is where the address stands among them, from 0.
  func add(_ address: ListenAddress, at place: Int) {
    let all = listening.withLock { listening in
      listening[place] = address
      return listening
    }
    if all.count == expected { onComplete((0..<expected).compactMap { all[$0] }) }
  }
}
