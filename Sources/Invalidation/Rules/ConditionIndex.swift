/// The rules of a table, by the texts of the column that most of their `where` test: a change costs those that may match
/// it, and not all of them. An object, as `BoundRule` is, since every change asks for it.
final class ConditionIndex: Sendable {
  /// Fewer rules with a `where` are as soon tried one after the other.
  private static let fewestTested = 3
  /// On average so many entries for each rule, 512 bytes, are worth the memory, and no more.
  private static let mostEntries = 64

  private let column: Int
  private let carriesWholeRows: Bool
  private let places: TextPlaces
  /// For each text that a `where` names the rules that may match it, in the order of the file.
  private let ofTexts: [[BoundRule]]
  private let ofOtherTexts: [BoundRule]
  private let ofNull: [BoundRule]

  /// Nil when it does not pay.
  init?(_ rules: [BoundRule]) {
    guard let column = ConditionIndex.mostTested(rules) else { return nil }
    let texts = ConditionIndex.texts(in: column, of: rules)
    let untested = rules.filter { $0.texts(of: column) == nil }
    guard untested.count * texts.count <= rules.count * ConditionIndex.mostEntries else { return nil }
    self.column = column
    carriesWholeRows = rules.contains { $0.carriesWholeRows }
    places = TextPlaces(texts)
    ofTexts = ConditionIndex.lists(for: places, count: texts.count, column, rules)
    ofOtherTexts = untested
    ofNull = rules.filter { $0.texts(of: column) == nil || $0.allowsNull(in: column) }
  }

  /// The column that the most rules test, if they are enough.
  private static func mostTested(_ rules: [BoundRule]) -> Int? {
    guard rules.count >= fewestTested else { return nil }
    var counts: [Int: Int] = [:]
    for rule in rules where rule.isSkippable {
      for column in Set(rule.conditions.map(\.column)) { counts[column, default: 0] += 1 }
    }
    let most = counts.max { ($0.value, $1.key) < ($1.value, $0.key) }
    return most.flatMap { $0.value >= fewestTested ? $0.key : nil }
  }

  /// The texts that the rules test the column for, each once.
  private static func texts(in column: Int, of rules: [BoundRule]) -> [[UInt8]] {
    var known: Set<[UInt8]> = []
    return rules.flatMap { $0.texts(of: column) ?? [] }.filter { known.insert($0).inserted }
  }

  /// By the place of each text the rules that it may concern.
  private static func lists(
    for places: TextPlaces, count: Int, _ column: Int, _ rules: [BoundRule]
  ) -> [[BoundRule]] {
    var lists = Array(repeating: [BoundRule](), count: count)
    for rule in rules {
      let concerned = rule.texts(of: column).map { $0.compactMap { places[$0.span] } } ?? Array(0..<count)
      // A `where` may name a text twice.
      for place in concerned where lists[place].last !== rule { lists[place].append(rule) }
    }
    return lists
  }

  /// The rules to render for the change: all whose `where` may hold for an image of it, and those that an old image may lack
  /// a column for. Nil when each has to be asked: an image is not known or not whole, does not tell the column, or has
  /// another text in it that some `where` names.
  @inline(__always)
  func rules(
    for operation: Operations, _ images: borrowing RowImages, of message: Span<UInt8>
  ) -> [BoundRule]? {
    // Where whole rows are promised, an old image that is not one concerns every rule.
    if carriesWholeRows, operation != .insert, images.oldIsKeyOnly || !images.old.isPresent { return nil }
    let sides: (new: Bool, old: Bool) = (images.new.isPresent, images.old.isPresent)
    guard !images.isUnpaired, sides.new || sides.old else { return nil }
    guard let first = slot(images, sides.new ? .new : .old, message) else { return nil }
    if sides.new, sides.old, slot(images, .old, message) != first { return nil }
    switch first {
    case .null: return ofNull
    case .otherText: return ofOtherTexts
    case .text(let place): return ofTexts[place]
    }
  }

  private enum Slot: Equatable {
    case null, otherText
    case text(Int)
  }

  @inline(__always)
  private func slot(
    _ images: borrowing RowImages, _ side: RowImages.Side, _ message: Span<UInt8>
  ) -> Slot? {
    guard let slice = images.column(column, of: side) else { return nil }
    if slice.isNull { return .null }
    return places[message.extracting(slice.range)].map { .text($0) } ?? .otherText
  }
}

extension BoundRule {
  /// Whether a `where` that does not hold is all that there is to say of a change: of updates and deletes, an old image that
  /// lacks a column is told first.
  fileprivate var isSkippable: Bool {
    isBound && (coversOldRows || operations.isDisjoint(with: [.update, .delete]))
  }

  /// The texts for which the rule's `where` may hold; nil when any may.
  fileprivate func texts(of column: Int) -> [[UInt8]]? {
    isSkippable ? conditions.first { $0.column == column }?.texts : nil
  }

  fileprivate func allowsNull(in column: Int) -> Bool {
    conditions.contains { $0.column == column && $0.allowsNull }
  }
}
