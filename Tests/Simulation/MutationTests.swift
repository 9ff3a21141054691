import Invalidation
import Testing

/// The oracle is worth something only if it turns red when something is broken: each mutation breaks one part
/// of the world on purpose and has to be noticed within its number of seeds.
struct MutationTests {
  /// Breaks worlds until one notices. The same world unbroken has to be clean.
  private func discover(
    _ mutation: WorldOptions.Mutation, within seeds: UInt64, location: SourceLocation = #_sourceLocation,
    _ adjust: (inout WorldOptions) -> Void = { _ in }
  ) {
    for seed in 1...seeds {
      var options = WorldOptions(seed: seed)
      options.bulkPerMille = 0
      adjust(&options)
      if !options.faults.isEmpty { options.checksProgress = false }
      var broken = options
      broken.mutation = mutation
      guard let violation = World(seed: seed, options: broken).run() else { continue }
      print("\(mutation): seed \(seed), \(violation)")
      let control = World(seed: seed, options: options).run()
      #expect(control == nil, "\(control?.description ?? "")", sourceLocation: location)
      return
    }
    Issue.record("\(mutation) went unnoticed in \(seeds) worlds", sourceLocation: location)
  }

  @Test func noBarrier() {
    discover(.snapshotLies, within: 20) { $0.promptVisibility = 300 }
  }

  @Test func noLeaseDeletes() { discover(.stripLeases, within: 30) }

  @Test func lostDeletes() { discover(.loseDeletes, within: 10) }

  @Test func unconditionalWatermark() {
    discover(.blindWatermark, within: 100) {
      $0.faults = [.redisSwap]
      $0.faultPause = Time.second
      $0.writePause = 100 * Time.millisecond
    }
  }

  @Test func watermarkKeptElsewhere() {
    discover(.watermarkElsewhere, within: 30) { $0.faults = [.redisRestore] }
  }

  @Test(arguments: SourceMode.allCases)
  func silentDDL(mode: SourceMode) {
    discover(.silentDDL, within: 20) {
      $0.mode = mode
      $0.alterPerMille = 60
    }
  }

  @Test(arguments: SourceMode.allCases)
  func untoldTypes(mode: SourceMode) {
    discover(.untoldTypes, within: 20) {
      $0.mode = mode
      $0.addRetypes()
    }
  }

  @Test(arguments: SourceMode.allCases)
  func silentMessages(mode: SourceMode) {
    discover(.silentMessages, within: 5) {
      $0.mode = mode
      $0.messagePerMille = 400
    }
  }

  @Test(arguments: [SourceMode.pgoutput, .wal2json])
  func partitionsUnknown(mode: SourceMode) {
    discover(.noPartitions, within: 5) {
      $0.mode = mode
      $0.partitioned = true
    }
  }

  @Test func positionReadAfterTheOutbox() {
    discover(.positionAfterSnapshot, within: 20) {
      $0.mode = .notify
      $0.promptVisibility = 300
      $0.faults = []
      $0.instances = 1
    }
  }

  @Test func failoverTrustedInVain() {
    discover(.trustedFailover, within: 20) {
      $0.faults = [.postgresPromoted]
      $0.losslessFailover = false
      $0.asynchronousCommit = false
      $0.readers = 4
    }
  }

  @Test func confirmationOnReceipt() { discover(.confirmEarly, within: 5) }

  @Test func noRetention() { discover(.noRetention, within: 5) }

  // MARK: Second deletes

  private func behindReplicas(_ options: inout WorldOptions) {
    options.faults = []
    options.instances = 1
    options.leases = true
    options.replicas = 1
    options.redeleteAfter = 0
    // A world without leases is one without readers.
    options.leases = true
    options.plainReaders = 0
    options.writePause = 100 * Time.millisecond
    options.truncatePerMille = 0
    options.partitioned = false
  }

  @Test func noSecondDeletesForReplicas() { discover(.noSecondDeletes, within: 20, behindReplicas) }

  @Test func noSecondDeletesForPlainSets() {
    discover(.noSecondDeletes, within: 20) {
      behindReplicas(&$0)
      $0.replicas = 0
      $0.redeleteAfter = 400 * Time.millisecond
      $0.plainReaders = 2
    }
  }

  @Test func secondDeletesAtVisibility() { discover(.secondDeleteAtVisibility, within: 20, behindReplicas) }

  @Test func receivedTakenForReplayed() { discover(.receivedForReplayed, within: 20, behindReplicas) }

  @Test func restartAtTheAppliedPosition() {
    discover(.restartAtApplied, within: 40) {
      behindReplicas(&$0)
      $0.faults = [.kill]
      $0.faultPause = Time.second
    }
  }

  @Test func noSecondRoundOfAFlush() {
    discover(.noSecondRound, within: 20) {
      behindReplicas(&$0)
      $0.truncatePerMille = 60
      $0.steadyLag = Time.second
      $0.rowCount = 2
      $0.readers = 6
      $0.readPause = 5 * Time.millisecond
      $0.writePause = 400 * Time.millisecond
    }
  }
}
