import Invalidation

/// One connection of one instance to the model Redis: two byte pipes that can break anywhere.
final class RedisConnection {
  enum State { case connecting, open, closed }

  unowned let world: World
  unowned let instance: Instance
  private var state = State.connecting
  private var incarnation = -1
  private var random: Randomness

  // Client to server.
  private var toServer: [UInt8] = []
  private var toServerHead = 0
  private var lastDelivery: Int64 = 0
  /// How many more bytes the server will see; nil while the connection is whole.
  private var serverAllowance: Int?
  private var parser = RESPParser()
  /// Connections that were readable during a freeze are served in an order of their own.
  private let thawJitter: Int64
  private var thawedAt: Int64 = 0

  // Server to client.
  private var replies: [(reply: RedisReply, lineage: Int?)] = []
  private var isReplying = false
  private var clientAllowance: Int?
  private var judged: [Int?] = []

  // The server's state of this client.
  var transaction: [[[UInt8]]]?
  var transactionIsDirty = false
  var isUnauthenticated = false
  /// The command just run moved the watermark from the value it expected: this history is the client's.
  var chainHolds = false
  /// The SCAN pass under way, from its cursor 0 on.
  var scan: RedisData.Pass?

  init(world: World, instance: Instance) {
    self.world = world
    self.instance = instance
    self.random = world.random.split()
    self.thawJitter = random.between(1_000, 3_000_000)
  }

  private var redis: ModelRedis { world.redis }
  var isOpenForClient: Bool { state == .open || isDoomed }
  /// It has failed, and the event that says so waits in the shell's queue: what is sent goes nowhere.
  private var isDoomed = false
  var owner: String { instance.name }

  // MARK: The client's side

  func connect() {
    let delay = random.between(50_000, 1_000_000)
    world.after(delay) { [self] in
      guard state == .connecting else { return }
      let frozen = redis.frozenUntil - world.now
      if frozen > 5 * Time.second {
        return world.after(5 * Time.second) { [self] in refuse("connect timeout") }
      }
      world.after(max(0, frozen)) { [self] in
        guard redis.isUp, redis.refusingUntil <= world.now else { return refuse("connection refused") }
        guard state == .connecting else { return }
        state = .open
        incarnation = redis.incarnation
        instance.post(.redisConnected(target: 0), from: self)
      }
    }
  }

  private func refuse(_ reason: String) {
    guard state == .connecting else { return }
    state = .closed
    isDoomed = true
    instance.post(.redisFailed(target: 0, reason: reason), from: self)
  }

  func send(_ bytes: [UInt8]) {
    if isDoomed { return }
    toServer.append(contentsOf: bytes)
    var left = bytes.count
    while left > 0 {
      let chunk = random.chance(850) ? left : 1 + random.below(left)
      left -= chunk
      let delay = latency()
      lastDelivery = max(lastDelivery, world.now + delay)
      world.scheduler.at(lastDelivery) { [self] in deliver(chunk) }
    }
  }

  /// The shell closes; what it had written may still arrive, whole or in part.
  func clientCloses() {
    guard state != .closed else { return }
    state = .closed
    if serverAllowance == nil, random.chance(500) {
      serverAllowance = random.below(toServer.count - toServerHead + 1)
    }
    clientAllowance = 0
  }

  /// The history that the last reply tells of: by a GET of the watermark, or by one that moved as expected.
  func takeJudgedLineage() -> Int? {
    judged.isEmpty ? nil : judged.removeFirst()
  }

  private func latency() -> Int64 {
    random.chance(970)
      ? random.between(20_000, world.options.redisLatency) : random.between(300_000, 30 * Time.millisecond)
  }

  // MARK: Faults

  /// The network breaks the connection at some byte of either direction; the client may never be told.
  func breakDown(silently: Bool) {
    guard state == .open, serverAllowance == nil else { return }
    serverAllowance = random.below(toServer.count - toServerHead + 1)
    clientAllowance = random.below(replies.count + 3)
    world.trace { "\(owner): redis connection breaks" + (silently ? " silently" : "") }
    if !silently { tellClient(within: 5 * Time.millisecond) }
  }

  func serverGone() {
    guard state == .open else { return }
    serverAllowance = 0
    clientAllowance = random.below(replies.count + 1)
    tellClient(within: 5 * Time.millisecond)
  }

  private func tellClient(within: Int64) {
    world.after(random.between(300_000, within)) { [self] in
      guard state == .open else { return }
      state = .closed
      isDoomed = true
      instance.post(.redisFailed(target: 0, reason: "connection reset"), from: self)
    }
  }

  // MARK: The server's side

  private func deliver(_ count: Int) {
    guard incarnation == redis.incarnation else { return }
    if redis.frozenUntil > world.now {
      thawedAt = max(thawedAt, redis.frozenUntil + thawJitter)
      if world.options.thawsSlowly { thawedAt += random.between(0, 10 * Time.millisecond) }
      return world.scheduler.at(thawedAt) { [self] in deliver(count) }
    }
    var count = count
    if let allowance = serverAllowance {
      count = min(count, allowance)
      serverAllowance = allowance - count
    }
    parser.append(toServer[toServerHead..<toServerHead + count])
    toServerHead += count
    if toServerHead == toServer.count {
      toServer.removeAll(keepingCapacity: true)
      toServerHead = 0
    }
    execute()
  }

  private func execute() {
    do {
      while let command = try parser.next() {
        let reply = redis.process(command, on: self)
        let isGet = command.first.map { $0.count == 3 && $0[0] & 0xDF == UInt8(ascii: "G") } ?? false
        answer(reply, lineage: isGet || chainHolds ? redis.lineage : nil)
        chainHolds = false
      }
    } catch {
      world.fail("effect", "\(owner): not RESP: \(error)")
    }
    world.oracle.deletesRan()
  }

  private func answer(_ reply: RedisReply, lineage: Int?) {
    if let allowance = clientAllowance {
      guard allowance > 0 else { return }
      clientAllowance = allowance - 1
    }
    replies.append((reply, lineage))
    guard !isReplying else { return }
    isReplying = true
    let delay = latency()
    world.after(delay) { [self] in
      isReplying = false
      guard state == .open else { return }
      let count = clientAllowance == nil ? replies.count : min(replies.count, random.below(replies.count + 1))
      for (reply, lineage) in replies.prefix(count) {
        judged.append(lineage)
        instance.post(.redisReply(target: 0, reply), from: self)
      }
      replies.removeAll()
    }
  }
}
