import Testing

/// The oracle is worth something only if it turns red when something is broken: each mutation breaks one part
/// of the world on purpose and has to be noticed within its number of seeds.
struct MutationTests {
  private typealias Mutation = WorldOptions.Mutation

  /// The first seed whose world notices the mutation, and by which invariant.
  private func discovery(
    of mutation: WorldOptions.Mutation, within seeds: UInt64,
    _ adjust: (inout WorldOptions) -> Void = { _ in }
  ) -> (seed: UInt64, violation: World.Violation)? {
    for seed in 1...seeds {
      var options = WorldOptions(seed: seed)
      options.mutation = mutation
      options.bulkPerMille = 0
      adjust(&options)
      if let violation = World(seed: seed, options: options).run() { return (seed, violation) }
    }
    return nil
  }

  @Test func noBarrier() {
    let found = discovery(of: .snapshotLies, within: 20) { $0.promptVisibility = 300 }
    #expect(found != nil)
    print("snapshotLies", found as Any)
  }

  @Test func noLeaseDeletes() {
    let found = discovery(of: .stripLeases, within: 30)
    #expect(found != nil)
    print("stripLeases", found as Any)
  }

  @Test func lostDeletes() {
    let found = discovery(of: .loseDeletes, within: 10)
    #expect(found != nil)
    print("loseDeletes", found as Any)
  }

  @Test func unconditionalWatermark() {
    let found = discovery(of: .blindWatermark, within: 200) {
      $0.faults = [.redisBreak, .redisRestore, .freeze, .kill]
      $0.instances = 2
    }
    #expect(found != nil)
    print("blindWatermark", found as Any)
  }

  @Test func watermarkKeptElsewhere() {
    let found = discovery(of: .watermarkElsewhere, within: 30) { $0.faults = [.redisRestore] }
    #expect(found != nil)
    print("watermarkElsewhere", found as Any)
  }

  @Test func confirmationOnReceipt() {
    let found = discovery(of: .confirmEarly, within: 5)
    #expect(found?.violation.invariant == "4")
    print("confirmEarly", found as Any)
  }
}
