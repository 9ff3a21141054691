import Glibc

extension EventLoop {
  /// The system refused to start a thread.
  package struct ThreadFailure: Error, Sendable {
    /// An errno.
    package let code: Int32
  }

  /// Runs the loop on a thread of its own.
  package func runOnOwnThread() async throws -> Outcome { try await onOwnThread { self.run() } }
}

/// Runs what waits on a thread of its own, so that it never occupies one of Swift's executors.
func onOwnThread<Answer: Sendable>(
  _ body: @escaping @Sendable () throws -> Answer
) async throws -> Answer {
  try await withCheckedThrowingContinuation { continuation in
    let failure = startThread { continuation.resume(with: Result { try body() }) }
    if let failure { continuation.resume(throwing: failure) }
  }
}

/// A detached thread that runs `body`. Its stack is of the system's default size, 8 MiB.
func startThread(_ body: @escaping @Sendable () -> Void) -> EventLoop.ThreadFailure? {
  let box = unsafe Unmanaged.passRetained(ThreadBody(body))
  var thread = pthread_t()
  let code = unsafe pthread_create(
    &thread, nil,
    { context in
      guard let context = unsafe context else { return nil }
      unsafe Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
      return nil
    }, box.toOpaque())
  guard code == 0 else {
    unsafe box.release()
    return EventLoop.ThreadFailure(code: code)
  }
  _ = pthread_detach(thread)
  return nil
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
