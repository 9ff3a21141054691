public import NIOCore
import NIOPosix
import Synchronization

/// One connection to a Redis primary that many tasks use at the same time: commands go out without waiting for
/// earlier replies. Over TCP or a Unix socket; no TLS.
///
/// It connects on first use, and again on the next use after the connection was lost. While Redis is away commands
/// fail at once: tries to connect happen beside them, 50 ms apart at first and 3 s at most. A command is never sent
/// twice, since a lost reply leaves open whether Redis ran it.
public final class RedisClient: RedisTransport {
  private struct Failure {
    var error: RedisClientError
    /// No new try before.
    var retryAt: NIODeadline
  }

  private enum State {
    /// After a failure, or after a connection that was lost in order, or before the first.
    case idle(Failure?)
    /// After a failure nobody waits for the outcome.
    case connecting(EventLoopFuture<RedisChannel>, after: Failure?)
    case connected(RedisChannel)
    case closed
  }

  private struct Shared {
    var state = State.idle(nil)
    var backoff = Backoff(first: .milliseconds(50), cap: .seconds(3))

    mutating func nextFailure(_ error: RedisClientError) -> Failure {
      Failure(error: error, retryAt: .now() + TimeAmount(backoff.next()))
    }
  }

  private let configuration: RedisConfiguration
  private let eventLoop: any EventLoop
  private let shared = Mutex(Shared())

  /// Does not connect yet. Without an event loop group it runs on NIO's global one.
  public init(_ configuration: RedisConfiguration, eventLoopGroup: (any EventLoopGroup)? = nil) {
    self.configuration = configuration
    eventLoop = (eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton).next()
  }

  deinit {
    if case .connected(let channel) = shared.withLock({ $0.state }) { channel.close() }
  }

  /// Sends one command and waits for its reply, for `connectTimeout` and twice `commandTimeout` at most.
  ///
  /// - Parameter command: the command's name and its arguments.
  /// - Returns: the reply; an error reply is one.
  /// - Throws: why there is none.
  public func send(_ command: [[UInt8]]) async throws(RedisClientError) -> RESPReply {
    do {
      return try await channel().flatMap { $0.send(command) }.get()
    } catch {
      throw RedisClientError(error)
    }
  }

  /// Closes the connection; every later command fails with `.closed`.
  public func close() async {
    let last = shared.withLock { shared in
      defer { shared.state = .closed }
      return shared.state
    }
    if case .connected(let channel) = last { await channel.closed() }
  }

  /// The open connection, or the one that is being made.
  private func channel() -> EventLoopFuture<RedisChannel> {
    shared.withLock { shared in
      switch shared.state {
      case .closed: return eventLoop.makeFailedFuture(RedisClientError.closed)
      case .connected(let channel): return eventLoop.makeSucceededFuture(channel)
      case .connecting(let channel, after: nil): return channel
      case .connecting(_, after: .some(let failure)): return eventLoop.makeFailedFuture(failure.error)
      case .idle(.some(let failure)):
        if failure.retryAt <= .now() { shared.state = .connecting(beginConnecting(), after: failure) }
        return eventLoop.makeFailedFuture(failure.error)
      case .idle(nil):
        let channel = beginConnecting()
        shared.state = .connecting(channel, after: nil)
        return channel
      }
    }
  }

  /// Returns before anything has happened, so that it can be called under the lock.
  private func beginConnecting() -> EventLoopFuture<RedisChannel> {
    let promise = eventLoop.makePromise(of: RedisChannel.self)
    eventLoop.execute { [self] in
      RedisChannel.connect(configuration, on: eventLoop).whenComplete { [self] result in
        promise.completeWith(result.flatMap { connected($0) }.flatMapError { failed(RedisClientError($0)) })
      }
    }
    return promise.futureResult
  }

  private func connected(_ channel: RedisChannel) -> Result<RedisChannel, any Error> {
    let isWanted = shared.withLock { shared in
      if case .closed = shared.state { return false }
      shared.state = .connected(channel)
      shared.backoff.reset()
      return true
    }
    guard isWanted else {
      channel.close()
      return .failure(RedisClientError.closed)
    }
    channel.whenClosed { [weak self] reason in self?.lost(reason) }
    return .success(channel)
  }

  private func failed(_ error: RedisClientError) -> Result<RedisChannel, any Error> {
    shared.withLock { shared in
      if case .closed = shared.state { return }
      shared.state = .idle(shared.nextFailure(error))
    }
    return .failure(error)
  }

  /// A server that went away in order is tried again on the next use, one that answers nonsense or nothing later.
  private func lost(_ reason: RedisClientError) {
    shared.withLock { shared in
      if case .closed = shared.state { return }
      shared.state = .idle(reason == .connectionLost ? nil : shared.nextFailure(reason))
    }
  }
}
