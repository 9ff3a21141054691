/// Where a column's text lies in the message that carried it.
struct ColumnSlice: Equatable {
  var offset: Int32
  /// Bytes; or one of the three marks below.
  var length: Int32

  static let null = ColumnSlice(offset: 0, length: -1)
  /// An unchanged TOAST value that the message does not repeat.
  static let unchanged = ColumnSlice(offset: 0, length: -2)
  /// A value that the message does not tell.
  static let unknown = ColumnSlice(offset: 0, length: -3)

  /// Where a text lies; not of the marks.
  var range: Range<Int> { Int(offset)..<Int(offset) + Int(length) }

  var isNull: Bool { length == -1 }
  var isUnchanged: Bool { length == -2 }
  var isUnknown: Bool { length == -3 }
}

/// One row image: slices of the message, in the order of the relation's columns. Reused from message to message.
struct RowImage {
  /// `count` of them are the image's.
  private var slots: [ColumnSlice] = []
  private(set) var count = 0
  /// Whether the message carried this image at all.
  private(set) var isPresent = false

  mutating func clear() {
    count = 0
    isPresent = false
  }

  mutating func begin() {
    count = 0
    isPresent = true
  }

  /// Begins an image of so many columns, which are then to be filled in, all of them.
  @_lifetime(&self)
  @inline(__always)
  mutating func begin(count: Int) -> MutableSpan<ColumnSlice> {
    if slots.count < count {
      slots.append(contentsOf: repeatElement(.unknown, count: count - slots.count))
    }
    self.count = count
    isPresent = true
    return slots.mutableSpan
  }

  @inline(__always)
  mutating func append(_ slice: ColumnSlice) {
    if count < slots.count { slots[count] = slice } else { slots.append(slice) }
    count += 1
  }

  /// The column's slice; nil when the image has fewer columns.
  @inline(__always)
  func column(_ index: Int) -> ColumnSlice? { 0 <= index && index < count ? slots[index] : nil }

  /// The column's slice, unless it says that the message does not tell.
  @inline(__always)
  fileprivate func told(_ index: Int) -> ColumnSlice? {
    guard let slice = column(index), !slice.isUnchanged, !slice.isUnknown else { return nil }
    return slice
  }
}

/// The row images of one change.
struct RowImages {
  var old = RowImage()
  var new = RowImage()
  /// The old image holds only the columns of the replica identity; the others read as NULL and mean nothing.
  var oldIsKeyOnly = false
  /// The other image of this update is not known: it may be any of the statement's.
  var isUnpaired = false

  enum Side {
    case old, new
  }

  /// The column's text in that row: of a TOAST value that did not change, the old row's. Nil when the message does not tell.
  @inline(__always)
  func column(_ index: Int, of side: Side) -> ColumnSlice? {
    switch side {
    case .old: return old.told(index)
    case .new:
      if let slice = new.column(index), slice.isUnchanged { return old.told(index) }
      return new.told(index)
    }
  }

  mutating func clear() {
    old.clear()
    new.clear()
    oldIsKeyOnly = false
    isUnpaired = false
  }
}
