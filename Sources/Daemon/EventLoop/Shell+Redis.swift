import Invalidation
import RedisSink

/// The Redis side of the shell.
extension Shell {
  func connectRedis(_ target: Int) {
    do throws(RedisFailure) {
      targets[target] = try RedisConnection(addresses[target], now: Clock.monotonic())
    } catch {
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message))
    }
  }

  func sendRedis(_ target: Int, _ bytes: [UInt8]) {
    // The connection may have failed after the Engine asked for this; it has been told.
    guard let connection = targets[target] else { return }
    do throws(RedisFailure) {
      try connection.append(bytes)
      if !unflushed.contains(target) { unflushed.append(target) }
    } catch {
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message))
    }
  }

  /// Offers what was appended to the sockets. Whether the Engine was told something.
  func flushRedis() -> Bool {
    guard !unflushed.isEmpty else { return false }
    let flushed = unflushed
    unflushed.removeAll(keepingCapacity: true)
    var told = false
    for target in flushed {
      guard let connection = targets[target] else { continue }
      do throws(RedisFailure) {
        try connection.flush()
      } catch {
        // A server that closes says why before.
        connection.receive()
        takeReplies(target, connection, elseFail: error)
        told = true
      }
    }
    return told
  }

  /// To be called when the target's socket is ready.
  func advanceRedis(_ target: Int) {
    guard let connection = targets[target] else { return }
    do throws(RedisFailure) {
      switch try connection.advance() {
      case .connected: tell(.redisConnected(target: target))
      case .pending: takeReplies(target, connection, elseFail: nil)
      }
    } catch {
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message))
    }
    performEffects()
  }

  func failRedis(_ target: Int, _ failure: RedisFailure) {
    targets[target] = nil
    handle(.redisFailed(target: target, reason: failure.message))
  }

  /// Hands over every reply that has arrived, as long as the connection is this one: the Engine may close it
  /// because of a reply. `failure` is told after the last one.
  private func takeReplies(_ target: Int, _ connection: RedisConnection, elseFail failure: RedisFailure?) {
    do throws(RedisFailure) {
      while targets[target] === connection, let reply = try connection.takeReply() {
        gulp.release()
        tell(.redisReply(target: target, reply))
        performUnflushed()
      }
      if let failure { throw failure }
    } catch {
      guard targets[target] === connection else { return }
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message))
    }
  }
}
