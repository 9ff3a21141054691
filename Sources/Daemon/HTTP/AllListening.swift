import Synchronization

/// Waits until every HTTP address listens.
final class AllListening: Sendable {
  private let expected: Int
  private let listening = Mutex<[ListenAddress]>([])
  private let onComplete: @Sendable ([ListenAddress]) -> Void

  /// `onComplete` is called once, with the addresses as they came to be; at once where there are none.
  init(count: Int, onComplete: @escaping @Sendable ([ListenAddress]) -> Void) {
    expected = count
    self.onComplete = onComplete
    if count == 0 { onComplete([]) }
  }

  func add(_ address: ListenAddress) {
    let all = listening.withLock { listening in
      listening.append(address)
      return listening
    }
    if all.count == expected { onComplete(all) }
  }
}
