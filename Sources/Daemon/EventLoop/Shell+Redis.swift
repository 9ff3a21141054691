import Invalidation
import RedisSink

/// The Redis side of the shell.
extension Shell {
  func connectRedis(_ target: Int) {
    closeRedis(target)
    do throws(NameResolution.Failure) {
      let resolution = try NameResolution.needed(for: addresses[target].endpoint.host, now: Clock.monotonic())
      guard let resolution else { return openRedis(target, addresses[target]) }
      resolutions[target] = resolution
    } catch {
      tell(.redisFailed(target: target, reason: error.message))
    }
  }

  private func openRedis(_ target: Int, _ address: RedisAddress) {
    do throws(RedisFailure) {
      targets[target] = try RedisConnection(address, now: Clock.monotonic())
    } catch {
      tell(.redisFailed(target: target, reason: error.message, isRefusal: error.isRefusal))
    }
  }

  func closeRedis(_ target: Int) {
    targets[target] = nil
    resolutions[target] = nil
  }

  /// Connects when the host's address is known.
  private func advance(_ resolution: NameResolution, _ target: Int) {
    do throws(NameResolution.Failure) {
      guard let host = try resolution.outcome(), case .tcp(_, let port) = addresses[target].endpoint else {
        return
      }
      resolutions[target] = nil
      var address = addresses[target]
      address.endpoint = .tcp(host: host, port: port)
      openRedis(target, address)
    } catch {
      closeRedis(target)
      tell(.redisFailed(target: target, reason: error.message))
    }
    performEffects()
  }

  func sendRedis(_ target: Int, _ bytes: [UInt8]) {
    // The connection may have failed after the Engine asked for this; it has been told.
    guard let connection = targets[target] else { return }
    do throws(RedisFailure) {
      try connection.append(bytes)
      if !unflushed.contains(target) { unflushed.append(target) }
    } catch {
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message, isRefusal: error.isRefusal))
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
    if let resolution = resolutions[target] { return advance(resolution, target) }
    guard let connection = targets[target] else { return }
    do throws(RedisFailure) {
      switch try connection.advance() {
      case .connected: tell(.redisConnected(target: target))
      case .pending: takeReplies(target, connection, elseFail: nil)
      }
    } catch {
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message, isRefusal: error.isRefusal))
    }
    performEffects()
  }

  func failRedis(_ target: Int, _ reason: String) {
    closeRedis(target)
    handle(.redisFailed(target: target, reason: reason))
  }

  /// Hands over every reply that has arrived, as long as the connection is this one: the Engine may close it
  /// because of a reply. `failure` is told after the last one.
  private func takeReplies(_ target: Int, _ connection: RedisConnection, elseFail failure: RedisFailure?) {
    do throws(RedisFailure) {
      while targets[target] === connection, let reply = try connection.takeReply() {
        tell(.redisReply(target: target, reply))
        performUnflushed()
      }
      if let failure { throw failure }
    } catch {
      guard targets[target] === connection else { return }
      targets[target] = nil
      tell(.redisFailed(target: target, reason: error.message, isRefusal: error.isRefusal))
    }
  }
}
