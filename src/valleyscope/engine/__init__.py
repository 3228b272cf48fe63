"""The curvature engine: products with Hessians, gradients at many weights, memory and time."""
